// An agent of LangChain.js calling a tool until the model has an answer.
import { ChatOpenAI } from "@langchain/openai";
import { createAgent, tool } from "langchain";
import { z } from "zod";
import { baseURL, collected, questions, run, square } from "./scenario.mjs";

const agent = createAgent({
  model: new ChatOpenAI({ model: "sonnet", apiKey: "unused", configuration: { baseURL }, maxRetries: 0 }),
  tools: [
    // what a tool throws would end the run
    tool(({ n }) => square(n).catch((error) => `Error: ${error.message}`), {
      name: "square",
      description: "Square a number.",
      schema: z.object({ n: z.number().int() }),
    }),
  ],
});

await run({
  // Asks all questions in one conversation, and returns the last answer; streamed messages make the model stream, too.
  async stream() {
    const settings = { recursionLimit: 100, streamMode: ["messages", "values"] };
    let messages = [];
    for (const content of questions) {
      const parts = await collected(await agent.stream({ messages: [...messages, { role: "user", content }] }, settings));
      [, { messages }] = parts.at(-1);
    }
    return messages.at(-1).text;
  },
});
