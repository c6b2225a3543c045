// The openai package for Node.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { baseURL, collected, picture, run } from "./scenario.mjs";

const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const model = "sonnet";
const question = [{ role: "user", content: "Who is it?" }];
const Pet = z.object({ name: z.string(), kind: z.enum(["cat", "dog"]), age: z.number().int().nullable() });
const response_format = zodResponseFormat(Pet, "pet");

const summary = ({ choices: [choice], usage }) => ({
  text: choice.message.content,
  parsed: choice.message.parsed,
  finishReason: choice.finish_reason,
  usage,
});

await run({
  async create() {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Yes?" },
      ...question,
    ];
    return summary(await client.chat.completions.create({ model, messages }));
  },

  async stream() {
    const stream = await client.chat.completions.create({
      model,
      messages: question,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collected(stream);
    const choices = chunks.flatMap((chunk) => chunk.choices);
    return {
      pieces: choices.map((choice) => choice.delta.content).filter(Boolean),
      finishReasons: choices.map((choice) => choice.finish_reason).filter(Boolean),
      usages: chunks.map((chunk) => chunk.usage).filter(Boolean),
    };
  },

  async streamHelper() {
    const pieces = [];
    const stream = client.chat.completions.stream({
      model,
      messages: question,
      stream_options: { include_usage: true },
    });
    stream.on("content", (piece) => pieces.push(piece));
    return { pieces, ...summary(await stream.finalChatCompletion()) };
  },

  async parse() {
    return summary(await client.chat.completions.parse({ model, messages: question, response_format }));
  },

  async streamedParse() {
    const stream = client.chat.completions.stream({ model, messages: question, response_format });
    return summary(await stream.finalChatCompletion());
  },

  async image() {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: picture } },
    ];
    return summary(await client.chat.completions.create({ model, messages: [{ role: "user", content }] }));
  },

  async error() {
    try {
      return await client.chat.completions.create({ model, messages: question, temperature: 9 });
    } catch (error) {
      return { kind: error.constructor.name, status: error.status, param: error.param, message: error.message };
    }
  },

  async models() {
    return (await collected(client.models.list())).map((found) => found.id);
  },
});
