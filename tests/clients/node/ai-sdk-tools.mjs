// The Vercel AI SDK calling a tool until the model has an answer.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { baseURL, collected, questions, run, square } from "./scenario.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const common = {
  model: createOpenAICompatible({ name: "claude-relay", baseURL })("sonnet"),
  maxRetries: 0,
  stopWhen: stepCountIs(30),
  tools: {
    square: tool({
      description: "Square a number.",
      inputSchema: z.object({ n: z.number().int() }),
      execute: ({ n }) => square(n),
    }),
  },
};

// Asks all questions in one conversation, and returns the last answer.
async function conversation(answer) {
  const messages = [];
  let result;
  for (const content of questions) {
    messages.push({ role: "user", content });
    result = await answer({ ...common, messages });
    messages.push(...(await result.responseMessages));
  }
  return result.text;
}

async function forced(toolChoice) {
  const [prompt] = questions;
  const { toolCalls, finishReason } = await generateText({ ...common, prompt, toolChoice, stopWhen: stepCountIs(1) });
  return { calls: toolCalls.map(({ toolName, input }) => [toolName, input]), finishReason };
}

await run({
  generateText: () => conversation(generateText),

  streamText: () =>
    conversation(async (question) => {
      const result = streamText({ ...question, onError: ({ error }) => console.error(error) });
      await collected(result.fullStream);
      return result;
    }),

  required: () => forced("required"),
  named: () => forced({ type: "tool", toolName: "square" }),
});
