// The openai package for Node calling a tool until the model has an answer.
import OpenAI from "openai";
import { baseURL, questions, run, square } from "./scenario.mjs";

const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const tool = {
  type: "function",
  function: {
    name: "square",
    description: "Square a number.",
    parameters: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] },
    parse: JSON.parse,
    // what a function throws would end the run
    function: ({ n }) => square(n).catch((error) => `Error: ${error.message}`),
  },
};

// Asks all questions in one conversation, and returns the last answer.
async function conversation(settings) {
  let messages = [];
  let answer;
  for (const content of questions) {
    messages.push({ role: "user", content });
    const question = { model: "sonnet", messages, tools: [tool], ...settings };
    const runner = client.chat.completions.runTools(question, { maxChatCompletions: 30 });
    answer = await runner.finalContent();
    messages = runner.messages;
  }
  return answer;
}

await run({
  runTools: () => conversation({}),
  streamedRunTools: () => conversation({ stream: true }),
});
