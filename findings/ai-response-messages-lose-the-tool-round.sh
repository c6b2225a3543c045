#!/usr/bin/env bash
# ai (AI SDK) 7.0.173, zod 4.6.7: generateText with a tool, whose messages an app keeps for the next question.
# One would guess: result.response.messages has all messages of the answer - the call, the tool's result and the text -
# as in 6.0.326, so that an app goes on with [...messages, ...result.response.messages], which its types still have.
# What happens: it has those of the last step alone; all of them are in result.responseMessages. The app goes on without
# the call and its result, without an error, and the model is never again shown what the tool has told.
# Seen: response.messages: assistant; responseMessages: assistant, tool, assistant
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
environ=(env -i PATH="$PATH" HOME="$folder")
cd "$folder"
"${environ[@]}" npm install --silent --no-audit --no-fund ai@7.0.173 zod@4.6.7
cat > keep.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { generateText, isStepCount, tool } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { z } from 'zod';

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};
const answered = (content, unified) => ({ content, finishReason: { unified, raw: unified }, usage, warnings: [] });
const steps = [
  answered([{ type: 'tool-call', toolCallId: 'call_1', toolName: 'look', input: '{"place":"cellar"}' }], 'tool-calls'),
  answered([{ type: 'text', text: 'There are three bottles.' }], 'stop'),
];
const result = await generateText({
  model: new MockLanguageModelV4({ doGenerate: async () => steps.shift() }),
  prompt: 'What is in the cellar?',
  tools: { look: tool({ inputSchema: z.object({ place: z.string() }), execute: async () => 'three bottles' }) },
  stopWhen: isStepCount(3),
});
const roles = (messages) => messages.map((message) => message.role).join(', ');
const kept = roles(result.response.messages);
const all = roles(result.responseMessages);
console.log(`ai ${JSON.parse(readFileSync('node_modules/ai/package.json')).version}`);
console.log(`response.messages: ${kept}; responseMessages: ${all}`);
process.exit(kept === 'assistant' && all === 'assistant, tool, assistant' ? 0 : 1);
JS
"${environ[@]}" node keep.mjs
