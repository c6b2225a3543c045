// LangChain.js with its integration for OpenAI.
import { ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { tool } from "langchain";
import { z } from "zod";
import { baseURL, collected, picture, run } from "./scenario.mjs";

const settings = { model: "sonnet", apiKey: "unused", configuration: { baseURL }, maxRetries: 0 };
const model = new ChatOpenAI(settings);
const Pet = z.object({ name: z.string(), kind: z.enum(["cat", "dog"]), age: z.number().int().nullable() });
const question = "Who is it?";
const square = tool(({ n }) => String(n * n), {
  name: "square",
  description: "Square a number.",
  schema: z.object({ n: z.number().int() }),
});

const summary = (message) => ({
  text: message.text,
  finishReason: message.response_metadata.finish_reason,
  usage: message.usage_metadata,
});

// Asks for a call, which max_tokens cuts, and goes on with what `next` makes of the answer.
async function goneOn(next) {
  const calling = new ChatOpenAI({ ...settings, maxTokens: 20 }).bindTools([square]);
  const messages = [["user", "Which squares are there?"]];
  const cut = await calling.invoke(messages);
  const answer = await calling.invoke([...messages, cut, ...next(cut)]);
  return { cut: summary(cut), calls: cut.tool_calls, invalid: cut.invalid_tool_calls, ...summary(answer) };
}

await run({
  async invoke() {
    const messages = [
      ["system", "Be brief."],
      ["user", "Hello"],
      ["assistant", "Yes?"],
      ["user", question],
    ];
    return summary(await model.invoke(messages));
  },

  async stream() {
    const chunks = await collected(await model.stream(question));
    const whole = chunks.reduce((before, chunk) => before.concat(chunk));
    return { pieces: chunks.map((chunk) => chunk.text).filter(Boolean), ...summary(whole) };
  },

  structured: () => model.withStructuredOutput(Pet).invoke(question),

  async streamedStructured() {
    return (await collected(await model.withStructuredOutput(Pet).stream(question))).at(-1);
  },

  structuredByCall: () => model.withStructuredOutput(Pet, { method: "functionCalling" }).invoke(question),

  structuredWithoutSchema: () => model.withStructuredOutput(Pet, { method: "jsonMode" }).invoke(question),

  async image() {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: picture } },
    ];
    return summary(await model.invoke([{ role: "user", content }]));
  },

  answeredCut: () =>
    goneOn((cut) => cut.invalid_tool_calls.map(({ id, error }) => new ToolMessage({ tool_call_id: id, content: error }))),

  async unansweredCut() {
    try {
      return await goneOn(() => [["user", "Go on."]]);
    } catch (error) {
      return { kind: error.name, status: error.status, code: error.lc_error_code, message: error.message };
    }
  },

  async error() {
    try {
      return await new ChatOpenAI({ ...settings, temperature: 9 }).invoke(question);
    } catch (error) {
      return { kind: error.name, status: error.status, param: error.param };
    }
  },
});
