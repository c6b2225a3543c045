// What waits for the viewer's permission, with a way to decide.

import { call } from "./api.js";
import { byId, element, show } from "./dom.js";

const elsewhere = new Set();
let known = [];

async function decide(id, approve, told) {
  try {
    await call(`/v1/console/approvals/${encodeURIComponent(id)}`, { method: "POST", body: { approve } });
    leaveOut(id);
  } catch (error) {
    told.textContent = error.message;
  }
}

function entry(approval) {
  const told = element("p", { class: "error", role: "alert" });
  const name = `${approval.name}, asked for by ${approval.model}`;
  const button = (label, approve) => element("button", {
    type: "button", class: approve ? "primary" : null, "aria-label": `${label}: ${name}`, onclick: () => decide(approval.id, approve, told),
  }, label);
  return element("li", {},
    element("strong", {}, name),
    element("pre", { class: "code" }, JSON.stringify(approval.arguments, null, 2)),
    approval.is_held
      ? element("p", { class: "quiet" }, "Its response has ended with this question: the client that asked goes on from it.")
      : element("div", { class: "row" }, button("Approve", true), button("Deny", false)),
    told);
}

export function setApprovals(approvals) {
  known = approvals;
  const waiting = known.filter((approval) => !elsewhere.has(approval.id));
  byId("approvals").hidden = waiting.length === 0;
  document.title = waiting.length ? `(${waiting.length}) claude-relay` : "claude-relay";
  show(byId("approval-list"), waiting.map(entry));
}

// Something is decided, or will be in another place of this page.
export function leaveOut(id) {
  elsewhere.add(id);
  setApprovals(known);
}
