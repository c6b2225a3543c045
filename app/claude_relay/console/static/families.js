// The APIs that the playground speaks: how each is asked, and what its events mean.
//
// A question is {model, effort, system, turns: [{role, text, image}], follows: {id, answers}}; image is a data URL.
// Events become {text}, {thinking}, {step: {id, name, input, output, error}}, {approval: {id, name, input}},
// {usage: {in, out, cost}}, {response: id} and {error}.

const split = (url) => /^data:([^;]+);base64,(.*)$/s.exec(url).slice(1);
const defined = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== ""));

const chat = {
  name: "Chat completions",
  path: "/v1/chat/completions",
  request: ({ model, effort, system, turns }) => defined({
    model,
    messages: [
      ...(system ? [{ role: "system", content: system }] : []),
      ...turns.map(({ role, text, image }) => ({
        role, content: image ? [{ type: "image_url", image_url: { url: image } }, { type: "text", text }] : text,
      })),
    ],
    reasoning_effort: effort,
    stream: true,
    stream_options: { include_usage: true },
  }),
  *read(_, data) {
    const { choices: [choice] = [], usage, error } = data;
    if (error) yield { error: error.message };
    if (choice?.delta?.reasoning_content) yield { thinking: choice.delta.reasoning_content };
    if (choice?.delta?.content) yield { text: choice.delta.content };
    if (choice?.delta?.refusal) yield { text: choice.delta.refusal };
    if (usage) yield { usage: { in: usage.prompt_tokens, out: usage.completion_tokens, cost: usage.cost } };
  },
  python: (request) => openai(`client.chat.completions.create(${request})`, "chunk", [
    "if chunk.choices:", '    print(chunk.choices[0].delta.content or "", end="", flush=True)']),
  javascript: (request) => openaiJs(`client.chat.completions.create(${request})`, "chunk", 'process.stdout.write(chunk.choices[0]?.delta?.content ?? "");'),
};

// Items that are something else than what the agent does.
const NO_STEPS = ["message", "reasoning", "function_call", "custom_tool_call", "mcp_approval_request", "mcp_approval_response"];

export const isStep = (item) => !NO_STEPS.includes(item.type);

export const step = (item) => ({
  id: item.id, name: item.name ?? item.type.replace(/_call$/, "").replaceAll("_", " "),
  input: item.arguments ?? (item.action ? JSON.stringify(item.action) : ""), output: item.output,
  error: typeof item.error === "string" ? item.error : item.error?.message ?? (item.error ? JSON.stringify(item.error) : null),
  busy: item.status === "in_progress" || item.status === "calling" || item.status === "searching",
});

const responses = {
  name: "Responses",
  path: "/v1/responses",
  request: ({ model, effort, system, turns, follows }) => defined({
    model,
    instructions: system,
    input: follows
      ? Object.entries(follows.answers).map(([id, approve]) => ({ type: "mcp_approval_response", approval_request_id: id, approve }))
      : turns.map(({ role, text, image }) => ({
        role, content: image ? [{ type: "input_image", image_url: image }, { type: "input_text", text }] : text,
      })),
    previous_response_id: follows?.id,
    reasoning: effort ? { effort } : undefined,
    stream: true,
  }),
  *read(event, data) {
    switch (event) {
      case "response.output_text.delta": case "response.refusal.delta": yield { text: data.delta }; break;
      case "response.reasoning_summary_text.delta": yield { thinking: data.delta }; break;
      case "response.output_item.added": case "response.output_item.done":
        if (data.item.type === "mcp_approval_request") {
          if (event.endsWith("done")) yield { approval: { id: data.item.id, name: data.item.name, input: data.item.arguments } };
        } else if (isStep(data.item)) yield { step: step(data.item) };
        break;
      case "error": yield { error: data.message ?? data.error?.message }; break;
      case "response.created": yield { response: data.response.id }; break;
      case "response.failed": yield { error: data.response.error?.message ?? "The response has failed." }; break;
      case "response.completed": case "response.incomplete": {
        const { usage } = data.response;
        if (usage) yield { usage: { in: usage.input_tokens, out: usage.output_tokens } };
      }
    }
  },
  python: (request) => openai(`client.responses.create(${request})`, "event", [
    'if event.type == "response.output_text.delta":', '    print(event.delta, end="", flush=True)']),
  javascript: (request) => openaiJs(`client.responses.create(${request})`, "event", 'if (event.type === "response.output_text.delta") process.stdout.write(event.delta);'),
};

const messages = {
  name: "Messages",
  path: "/v1/messages",
  request: ({ model, effort, system, turns }) => defined({
    model,
    max_tokens: 32000,
    system,
    messages: turns.map(({ role, text, image }) => {
      const [media_type, data] = image ? split(image) : [];
      return { role, content: image ? [{ type: "image", source: { type: "base64", media_type, data } }, { type: "text", text }] : text };
    }),
    thinking: { type: "adaptive", display: "summarized" },
    output_config: effort ? { effort } : undefined,
    stream: true,
  }),
  *read(event, data) {
    switch (event) {
      case "content_block_delta":
        if (data.delta.type === "text_delta") yield { text: data.delta.text };
        if (data.delta.type === "thinking_delta") yield { thinking: data.delta.thinking };
        break;
      case "message_delta": {
        const { usage } = data;
        yield { usage: { in: usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens, out: usage.output_tokens } };
        break;
      }
      case "error": yield { error: data.error.message };
    }
  },
  python: (request) => ["import os", "from anthropic import Anthropic", "",
    `client = Anthropic(base_url=${JSON.stringify(location.origin)}, api_key=os.environ.get("CLAUDE_RELAY_KEY", "unused"))`,
    `stream = client.messages.create(${request})`, "for event in stream:",
    '    if event.type == "content_block_delta" and event.delta.type == "text_delta":',
    '        print(event.delta.text, end="", flush=True)'].join("\n"),
  javascript: (request) => ['import Anthropic from "@anthropic-ai/sdk";', "",
    `const client = new Anthropic({ baseURL: ${JSON.stringify(location.origin)}, apiKey: process.env.CLAUDE_RELAY_KEY ?? "unused" });`,
    `const stream = await client.messages.create(${request});`, "for await (const event of stream) {",
    '  if (event.delta?.type === "text_delta") process.stdout.write(event.delta.text);', "}"].join("\n"),
};

export const FAMILIES = { chat, responses, messages };

const base = () => JSON.stringify(`${location.origin}/v1`);

const openai = (create, one, print) => ["import os", "from openai import OpenAI", "",
  `client = OpenAI(base_url=${base()}, api_key=os.environ.get("CLAUDE_RELAY_KEY", "unused"))`,
  `stream = ${create}`, `for ${one} in stream:`, ...print.map((line) => `    ${line}`)].join("\n");

const openaiJs = (create, one, print) => ['import OpenAI from "openai";', "",
  `const client = new OpenAI({ baseURL: ${base()}, apiKey: process.env.CLAUDE_RELAY_KEY ?? "unused" });`,
  `const stream = await ${create};`, `for await (const ${one} of stream) {`, `  ${print}`, "}"].join("\n");

// JSON as Python writes it; strings are the same in both but for halves of pairs, which JSON.stringify escapes.
function pythonic(value, indent = "    ") {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map((item) => pythonic(item, `${indent}    `)).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pythonic(item, `${indent}    `)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

// A request as a program, which takes the key from the environment: no key is ever copied.
export function asCode(language, family, request) {
  if (language === "python") {
    const fields = Object.entries(request).map(([name, value]) => `    ${name}=${pythonic(value)},`);
    return family.python(`\n${fields.join("\n")}\n`);
  }
  if (language === "javascript") return family.javascript(JSON.stringify(request, null, 2));
  const quoted = `'${JSON.stringify(request).replaceAll("'", "'\\''")}'`;
  return [`curl -N ${location.origin}${family.path} \\`, '  -H "Authorization: Bearer ${CLAUDE_RELAY_KEY:-unused}" \\',
    "  -H 'Content-Type: application/json' \\", `  -d ${quoted}`].join("\n");
}
