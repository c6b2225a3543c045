// Questions to the relay through any of its APIs, watched as they are answered.

import { call, events, json } from "./api.js";
import { leaveOut } from "./approvals.js";
import { byId, element } from "./dom.js";
import { asCode, FAMILIES } from "./families.js";
import { count, dollars, duration } from "./format.js";

const LARGEST_IMAGE = 20 * 1024 * 1024;

let turns = [], image = null, running = null;

const family = () => FAMILIES[byId("family").value];

function question(more = []) {
  return {
    model: byId("model").value, effort: byId("effort").value, system: byId("system").value.trim(), turns: [...turns, ...more],
  };
}

export function setServed(served) {
  const select = byId("family"), chosen = select.value;
  const known = Object.entries(FAMILIES).filter(([, one]) => served.paths.includes(one.path));
  select.replaceChildren(...known.map(([value, { name }]) => element("option", { value }, name)));
  if (known.some(([value]) => value === chosen)) select.value = chosen;
  loadModels(served.model);
}

async function loadModels(usual) {
  const select = byId("model"), chosen = select.value || usual;
  let data = [];
  try {
    ({ data } = await json("/v1/models"));
  } catch {
    // the stream of what goes on tells that the relay is away, and asks again when it is back
    return;
  }
  select.replaceChildren(...data.map(({ id }) => element("option", { value: id }, id)));
  if (data.some(({ id }) => id === chosen)) select.value = chosen;
}

function userTurn({ text, image: attached }) {
  return element("div", { class: "turn user" }, attached && element("img", { src: attached, alt: "Attached image" }), element("div", { class: "text" }, text));
}

// An answer on the page, which grows.
class Answer {
  constructor(told) {
    this.text = "";
    this.node = element("div", { class: "turn assistant busy" });
    this.body = null;
    this.thoughts = null;
    this.steps = new Map();
    this.approvals = [];
    this.footer = element("footer", {}, told);
    this.began = performance.now();
    this.first = null;
    this.node.append(this.footer);
  }

  add(event) {
    this.first ??= event.response ? null : performance.now() - this.began;
    if (event.text) {
      this.text += event.text;
      this.body ??= this.insert(element("div", { class: "text" }));
      this.body.append(event.text);
      this.thoughts = null;
    } else if (event.thinking) {
      this.thoughts ??= this.insert(element("details", {}, element("summary", {}, "Thinking"), element("div", {}))).lastChild;
      this.thoughts.append(event.thinking);
    } else if (event.step) this.step(event.step);
    else if (event.approval) {
      this.approvals.push(event.approval);
      leaveOut(event.approval.id);
    }
    else if (event.usage) this.usage = event.usage;
    else if (event.response) this.response = event.response;
    else if (event.error) this.fail(event.error);
  }

  insert(node) {
    this.footer.before(node);
    if (!node.classList.contains("text")) this.body = null;
    return node;
  }

  step(step) {
    const summary = `${step.busy ? "… " : step.error ? "✗ " : "✓ "}${step.name}`;
    const node = element("details", { class: "step" }, element("summary", {}, summary),
      step.input && element("pre", { class: "code" }, step.input), step.output && element("pre", { class: "code" }, step.output),
      step.error && element("pre", { class: "code error" }, step.error));
    const before = this.steps.get(step.id);
    if (before) {
      node.open = before.open;
      before.replaceWith(node);
    } else this.insert(node);
    this.steps.set(step.id, node);
    this.thoughts = null;
  }

  fail(message) {
    if (this.failed) return;
    this.failed = true;
    this.insert(element("p", { class: "error", role: "alert" }, message));
  }

  end(how) {
    this.node.classList.remove("busy");
    const { in: sent, out, cost } = this.usage ?? {};
    this.footer.textContent = [
      how, this.usage && `${count(sent)} tokens in, ${count(out)} out`, cost ? dollars(cost) : "",
      this.first !== null && `first after ${duration(this.first)}`, `${duration(performance.now() - this.began)} in all`,
    ].filter(Boolean).join(" · ");
    byId("answer-status").textContent = how || "The answer is complete.";
  }
}

function follow(log, work) {
  // whoever reads further up is left there
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  work();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

async function ask(asked, body) {
  const log = byId("turns"), spoken = family();
  const answer = new Answer(`${asked.model} · ${spoken.name}`);
  follow(log, () => log.append(answer.node));
  log.scrollTop = log.scrollHeight;
  running = new AbortController();
  setBusy(true);
  try {
    const response = await call(spoken.path, { method: "POST", body, signal: running.signal });
    const ignored = response.headers.get("x-claude-relay-ignored");
    for await (const { event, data } of events(response)) {
      if (data === "[DONE]") break;
      const parsed = JSON.parse(data);
      follow(log, () => { for (const one of spoken.read(event, parsed)) answer.add(one); });
    }
    answer.end(ignored ? `Without effect: ${ignored}` : "");
  } catch (error) {
    if (running.signal.aborted) {
      answer.end("Stopped");
      // one that is kept would be worked on for a while, in case its client comes back
      if (answer.response) call(`/v1/console/responses/${answer.response}/stop`, { method: "POST" }).catch(() => {});
    } else {
      follow(log, () => answer.fail(error instanceof TypeError ? "The relay cannot be reached, or the connection broke." : error.message));
      answer.end("Failed");
    }
  } finally {
    running = null;
    setBusy(false);
  }
  return answer;
}

async function send(event) {
  event.preventDefault();
  const text = byId("prompt").value.trim();
  if (!text || running) return;
  const turn = { role: "user", text, image };
  const asked = question([turn]);
  byId("turns").append(userTurn(turn));
  byId("prompt").value = "";
  detach();
  const answer = await ask(asked, family().request(asked));
  await settle(asked, turn, answer);
}

// A turn counts only with its answer: the upstream takes no two turns of a user in a row for granted.
async function settle(asked, turn, answer) {
  if (answer.approvals.length && answer.response && !answer.failed) {
    const answers = await decisions(answer);
    const continued = { ...asked, follows: { id: answer.response, answers } };
    return settle(asked, turn, await ask(continued, family().request(continued)));
  }
  if (answer.text) turns.push(turn, { role: "assistant", text: answer.text });
}

// Resolves when all that a response ends with is decided.
function decisions(answer) {
  const answers = {};
  return new Promise((resolve) => {
    for (const { id, name, input } of answer.approvals) {
      const node = element("div", { class: "card attention" }, element("strong", {}, `May it use ${name}?`), element("pre", { class: "code" }, input));
      const button = (label, approve) => element("button", {
        type: "button", class: approve ? "primary" : null, "aria-label": `${label}: ${name}`, onclick: () => {
          answers[id] = approve;
          node.replaceWith(element("p", { class: "quiet" }, `${name}: ${approve ? "approved" : "denied"}`));
          if (Object.keys(answers).length === answer.approvals.length) resolve(answers);
        },
      }, label);
      node.append(element("div", { class: "row" }, button("Approve", true), button("Deny", false)));
      answer.insert(node);
    }
  });
}

function setBusy(busy) {
  byId("send").disabled = busy;
  byId("stop").disabled = !busy;
  byId("clear").disabled = busy;
  if (busy) byId("answer-status").textContent = "The relay answers.";
}

function clear() {
  turns = [];
  byId("turns").replaceChildren();
  byId("prompt").focus();
}

function attach() {
  const [file] = byId("image").files;
  if (!file) return detach();
  if (file.size > LARGEST_IMAGE) {
    byId("copied").textContent = "The image is larger than 20 MB.";
    return detach();
  }
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    image = reader.result;
    byId("preview").src = image;
    byId("attached").hidden = false;
  });
  reader.readAsDataURL(file);
}

function detach() {
  image = null;
  byId("image").value = "";
  byId("attached").hidden = true;
}

async function copy() {
  const text = byId("prompt").value.trim() || "Hello!";
  const asked = question([{ role: "user", text, image }]);
  const code = asCode(byId("code-language").value, family(), family().request(asked));
  try {
    await navigator.clipboard.writeText(code);
    byId("copied").textContent = "Copied. The key is taken from CLAUDE_RELAY_KEY.";
  } catch {
    // browsers give the clipboard to pages of this machine and with TLS alone
    const area = element("textarea", { class: "code", rows: 8, readonly: true, "aria-label": "The request as code" });
    area.value = code;
    byId("copied").replaceChildren("Copy it from here:", area);
    area.select();
  }
}

byId("question").addEventListener("submit", send);
byId("stop").addEventListener("click", () => running?.abort());
byId("clear").addEventListener("click", clear);
byId("image").addEventListener("change", attach);
byId("detach").addEventListener("click", detach);
byId("copy").addEventListener("click", copy);
byId("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("question").requestSubmit();
});
