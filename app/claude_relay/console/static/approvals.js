// What waits for the viewer's permission, with a way to decide.

import { call } from "./api.js";
import { byId, element, show } from "./dom.js";

const decided = new Set();

async function decide(id, approve, told) {
  decided.add(id);
  try {
    await call(`/v1/console/approvals/${encodeURIComponent(id)}`, { method: "POST", body: { approve } });
    byId(`approval-${id}`)?.remove();
  } catch (error) {
    decided.delete(id);
    told.textContent = error.message;
  }
}

function entry(approval) {
  const told = element("p", { class: "error", role: "alert" });
  const name = `${approval.name}, asked for by ${approval.model}`;
  const button = (label, approve) => element("button", {
    type: "button", class: approve ? "primary" : null, "aria-label": `${label}: ${name}`, onclick: () => decide(approval.id, approve, told),
  }, label);
  return element("li", { id: `approval-${approval.id}` },
    element("strong", {}, name),
    element("pre", { class: "code" }, JSON.stringify(approval.arguments, null, 2)),
    approval.is_held
      ? element("p", { class: "quiet" }, "Its response has ended with this question: the client that asked goes on from it.")
      : element("div", { class: "row" }, button("Approve", true), button("Deny", false)),
    told);
}

export function setApprovals(approvals) {
  const waiting = approvals.filter((approval) => !decided.has(approval.id));
  byId("approvals").hidden = waiting.length === 0;
  document.title = waiting.length ? `(${waiting.length}) claude-relay` : "claude-relay";
  show(byId("approval-list"), waiting.map(entry));
}
