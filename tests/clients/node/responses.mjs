// Clients of the responses API: the openai package, openai-agents and the Vercel AI SDK with what they do by default.
import { createOpenAI } from "@ai-sdk/openai";
import { Agent, run as runAgent, setDefaultOpenAIClient, setTracingDisabled, tool as agentTool } from "@openai/agents";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { baseURL, collected, questions, run, square } from "./scenario.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const sonnet = createOpenAI({ baseURL, apiKey: "unused" })("sonnet");
const pet = z.object({ name: z.string(), kind: z.enum(["cat", "dog"]), age: z.number().int() });
const asked = { model: "sonnet", input: questions[0] };

const aiTools = {
  square: tool({
    description: "Square a number.",
    inputSchema: z.object({ n: z.number().int() }),
    execute: ({ n }) => square(n),
  }),
};

// Asks all questions in one conversation, and returns the answers.
async function aiConversation(answer) {
  const messages = [];
  const texts = [];
  for (const content of questions) {
    messages.push({ role: "user", content });
    const result = await answer({ model: sonnet, maxRetries: 0, stopWhen: stepCountIs(10), tools: aiTools, messages });
    messages.push(...(await result.responseMessages));
    texts.push(await result.text);
  }
  return texts;
}

async function agentConversation(stream) {
  setTracingDisabled(true);
  setDefaultOpenAIClient(client);
  const agent = new Agent({
    name: "Squares",
    instructions: "Be brief.",
    model: "sonnet",
    tools: [
      agentTool({
        name: "square",
        description: "Square a number.",
        parameters: z.object({ n: z.number().int() }),
        execute: ({ n }) => square(n),
      }),
    ],
  });
  let history = [];
  const texts = [];
  for (const content of questions) {
    const result = await runAgent(agent, [...history, { role: "user", content }], { stream });
    if (stream) await collected(result);
    history = result.history;
    texts.push(result.finalOutput);
  }
  return texts;
}

await run({
  create: async () => {
    const { output_text, usage, status } = await client.responses.create(asked);
    return { text: output_text, usage, status };
  },

  stream: async () => {
    const events = await collected(await client.responses.create({ ...asked, stream: true }));
    return { types: events.map(({ type }) => type), text: events.at(-1).response.output.at(-1).content[0].text };
  },

  streamHelper: async () => (await client.responses.stream(asked).finalResponse()).output_text,

  parse: async () => {
    const answer = await client.responses.parse({ ...asked, text: { format: zodTextFormat(pet, "pet") } });
    return answer.output_parsed;
  },

  goOn: async () => {
    const first = await client.responses.create(asked);
    const second = await client.responses.create({ ...asked, previous_response_id: first.id });
    const kept = await client.responses.retrieve(first.id);
    const items = await collected(await client.responses.inputItems.list(second.id));
    await client.responses.delete(second.id);
    const gone = await client.responses.retrieve(second.id).catch(({ status }) => status);
    return { kept: kept.output_text, text: second.output_text, items: items.length, gone };
  },

  sendAgain: async () => {
    const hasty = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 3, timeout: 1000 });
    return (await hasty.responses.create(asked, { headers: { "Idempotency-Key": "once-for-node" } })).output_text;
  },

  resume: async () => {
    const before = [];
    for await (const event of await client.responses.create({ ...asked, stream: true, background: true })) {
      before.push(event);
      if (event.type === "response.output_text.delta") break;
    }
    const last = before.at(-1).sequence_number;
    const rest = await client.responses.retrieve(before[0].response.id, { stream: true, starting_after: last });
    const events = [...before, ...(await collected(rest)).filter(({ type }) => type !== "keepalive")];
    const deltas = events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta);
    return { text: deltas.join(""), numbers: events.map((event) => event.sequence_number), end: events.at(-1).type };
  },

  cancel: async () => {
    let job = await client.responses.create({ ...asked, background: true });
    const begun = job.status;
    while (!job.output_text) job = await client.responses.retrieve(job.id);
    return [begun, job.status, (await client.responses.cancel(job.id)).status];
  },

  generateText: () => aiConversation(generateText),

  streamText: () =>
    aiConversation(async (question) => {
      const result = streamText({ ...question, onError: ({ error }) => console.error(error) });
      await collected(result.fullStream);
      return result;
    }),

  generateObject: async () => {
    const answer = { model: sonnet, maxRetries: 0, prompt: questions[0], output: Output.object({ schema: pet }) };
    return (await generateText(answer)).output;
  },

  agents: () => agentConversation(false),
  agentsStreamed: () => agentConversation(true),
});
