// Clients of the Messages API: Anthropic's package, and the Vercel AI SDK.
import { createAnthropic } from "@ai-sdk/anthropic";
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { baseURL, collected, run } from "./scenario.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const client = new Anthropic({ baseURL: baseURL.replace(/\/v1$/, ""), apiKey: "unused", maxRetries: 0 });
const provider = createAnthropic({ baseURL, apiKey: "unused" });
const sonnet = provider("sonnet");
const asked = { model: "sonnet", max_tokens: 2000, messages: [{ role: "user", content: "Hello" }] };
const forecast = { description: "The weather of a city.", inputSchema: z.object({ city: z.string() }) };
const tools = { get_weather: tool({ ...forecast, execute: ({ city }) => `It rains in ${city}.` }) };

await run({
  create: () => client.messages.create(asked),

  stream: async () => {
    const stream = client.messages.stream({ ...asked, thinking: { type: "adaptive" } });
    const deltas = [];
    stream.on("text", (text) => deltas.push(text));
    return { deltas, message: await stream.finalMessage() };
  },

  toolRunner: async () => {
    const weather = betaZodTool({ name: "get_weather", ...forecast, run: ({ city }) => `It rains in ${city}.` });
    return client.beta.messages.toolRunner({ ...asked, tools: [weather] });
  },

  count: () => client.messages.countTokens({ model: "sonnet", messages: asked.messages }),

  models: async () => (await collected(client.models.list())).map((model) => model.id),

  error: async () => {
    try {
      await client.messages.create({ ...asked, messages: [] });
    } catch (error) {
      return { status: error.status, type: error.error.error.type, request: error.requestID };
    }
  },

  aiSdk: async () => {
    const { text, usage, finishReason } = await generateText({ model: sonnet, prompt: "Hello", maxRetries: 0 });
    return { text, usage, finishReason };
  },

  aiSdkStream: async () => {
    const result = streamText({ model: sonnet, prompt: "Hello", maxRetries: 0, tools, stopWhen: stepCountIs(5) });
    return { pieces: await collected(result.textStream), steps: (await result.steps).length };
  },

  aiSdkObject: async () => {
    // it asks models that it knows for a form, and others for a call
    const model = provider("claude-sonnet-4-5");
    const output = Output.object({ schema: z.object({ city: z.string(), degrees: z.number() }) });
    return (await generateText({ model, prompt: "Hello", maxRetries: 0, output })).output;
  },
});
