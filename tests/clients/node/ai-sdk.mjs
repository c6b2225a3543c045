// The Vercel AI SDK with its provider for OpenAI-compatible servers.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, streamObject, streamText } from "ai";
import { z } from "zod";
import { baseURL, collected, picture, run } from "./scenario.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const settings = { name: "claude-relay", baseURL, includeUsage: true };
const model = createOpenAICompatible({ ...settings, supportsStructuredOutputs: true })("sonnet");
const plainModel = createOpenAICompatible(settings)("sonnet");
const common = { model, maxRetries: 0 };
const prompt = "Who is it?";
const schema = z.object({ name: z.string(), kind: z.enum(["cat", "dog"]), age: z.number().int().nullable() });

const summary = async ({ text, object, reasoningText, finishReason, usage, warnings }) => ({
  text: await text,
  object: await object,
  reasoning: await reasoningText,
  finishReason: await finishReason,
  usage: await usage,
  warnings: await warnings,
});

await run({
  async generateText() {
    const messages = [
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Yes?" },
      { role: "user", content: prompt },
    ];
    return summary(await generateText({ ...common, system: "Be brief.", messages }));
  },

  async streamText() {
    const result = streamText({ ...common, prompt });
    return { pieces: await collected(result.textStream), ...(await summary(result)) };
  },

  async generateObject() {
    return summary(await generateObject({ ...common, schema, prompt }));
  },

  async generateObjectWithoutSchema() {
    return summary(await generateObject({ ...common, model: plainModel, schema, prompt }));
  },

  async generateArray() {
    return summary(await generateObject({ ...common, output: "array", schema, prompt }));
  },

  async streamObject() {
    const result = streamObject({ ...common, schema, prompt });
    return { stages: await collected(result.partialObjectStream), ...(await summary(result)) };
  },

  async image() {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image", image: picture },
    ];
    return summary(await generateText({ ...common, messages: [{ role: "user", content }] }));
  },

  async error() {
    try {
      return await generateText({ ...common, prompt, temperature: 9 });
    } catch (error) {
      return { kind: error.name, status: error.statusCode, message: error.message };
    }
  },
});
