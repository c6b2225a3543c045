// Responses that the relay keeps, with their items and what the agent did.

import { json } from "./api.js";
import { byId, element } from "./dom.js";
import { isStep, step } from "./families.js";
import { count, moment } from "./format.js";

const textOf = (content) => (typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? part.refusal ?? `[${part.type}]`).join("\n"));

function folded(name, ...texts) {
  return element("details", {}, element("summary", {}, name), ...texts.filter(Boolean).map((text) => element("pre", { class: "code" }, text)));
}

function item(one) {
  if (one.type === undefined || one.type === "message") {
    return element("div", { class: `turn ${one.role}` }, element("div", { class: "text" }, textOf(one.content)), one.role === "user" ? null : element("footer", {}, one.role));
  }
  if (one.type === "reasoning") return folded("Thinking", textOf(one.summary));
  if (isStep(one)) {
    const { name, input, output, error } = step(one);
    const result = typeof output === "string" || !output ? output : JSON.stringify(output, null, 2);
    return folded(`${error ? "✗" : "✓"} ${name}`, input, result, error);
  }
  if (one.type === "mcp_approval_response") return element("p", { class: "quiet" }, one.approve ? "Approved" : "Denied");
  return folded(`${one.type.replaceAll("_", " ")}: ${one.name ?? ""}`, one.arguments ?? one.input);
}

async function open(id) {
  const place = byId("response");
  for (const button of byId("response-list").querySelectorAll("button")) button.setAttribute("aria-pressed", button.dataset.id === id);
  try {
    const { response, input, has_more: hasMore } = await json(`/v1/console/responses/${encodeURIComponent(id)}`);
    const { usage } = response;
    place.replaceChildren(
      element("h3", {}, response.id),
      element("p", { class: "quiet" }, [
        moment(response.created_at), response.model, response.status, usage && `${count(usage.input_tokens)} tokens in, ${count(usage.output_tokens)} out`,
      ].filter(Boolean).join(" · ")),
      ...(response.previous_response_id
        ? [element("p", {}, element("button", { type: "button", onclick: () => open(response.previous_response_id) }, "Open the response before"))] : []),
      ...(response.error ? [element("p", { class: "error" }, response.error.message)] : []),
      ...(response.instructions ? [folded("Instructions", textOf(response.instructions))] : []),
      ...input.map(item),
      ...(hasMore ? [element("p", { class: "quiet" }, "There are more items in this request.")] : []),
      ...response.output.map(item));
  } catch (error) {
    place.replaceChildren(element("p", { class: "error", role: "alert" }, error.message));
  }
  place.focus({ preventScroll: true });
}

export async function load() {
  const list = byId("response-list");
  try {
    const { data } = await json("/v1/console/responses");
    list.replaceChildren(...data.map((one) => element("li", {}, element("button", {
      type: "button", "data-id": one.id, "aria-pressed": "false", onclick: () => open(one.id),
    }, element("strong", {}, one.title || one.id), element("small", {}, `${moment(one.created_at)} · ${one.model} · ${one.status}`)))));
    if (!data.length) list.replaceChildren(element("li", { class: "quiet" }, "None are kept. Those of POST /v1/responses appear here."));
  } catch (error) {
    list.replaceChildren(element("li", { class: "error" }, error.message));
  }
}

byId("reload").addEventListener("click", load);
