// The page: which view is shown, who looks, and where what the relay tells goes.

import { call, key } from "./api.js";
import { setApprovals } from "./approvals.js";
import { byId } from "./dom.js";
import { follow } from "./live.js";
import * as overview from "./overview.js";
import * as playground from "./playground.js";
import * as responses from "./responses.js";

const views = [...document.querySelectorAll("[data-view]")];
let isIn = false, keepsResponses = true;

function setConnection(state, text) {
  const pill = byId("connection");
  if (pill.textContent === text && pill.dataset.state === state) return;
  pill.dataset.state = state;
  pill.textContent = text;
}

function setTrouble(text) {
  byId("trouble").hidden = !text;
  byId("trouble").textContent = text;
}

function view() {
  const wanted = views.find(({ dataset }) => dataset.view === location.hash.slice(1)) ?? views[0];
  for (const one of views) one.hidden = !isIn || one !== wanted;
  for (const link of document.querySelectorAll("nav a")) {
    link.hidden = !isIn || (link.hash === "#responses" && !keepsResponses);
    if (link.hash === `#${wanted.dataset.view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!isIn) return;
  overview.draw();
  if (wanted.dataset.view === "responses") responses.load();
}

function login(message) {
  isIn = false;
  key.forget();
  byId("forget-key").hidden = true;
  byId("approvals").hidden = true;
  byId("about").textContent = "";
  byId("login-error").textContent = message;
  byId("login").hidden = false;
  setConnection("", "key needed");
  view();
  byId("key").focus();
}

function enter() {
  byId("login").hidden = true;
  byId("forget-key").hidden = !key.get();
  follow({
    served(served) {
      isIn = true;
      keepsResponses = served.keeps_responses;
      const seen = served.workers > 1 ? [`one of ${served.workers} workers, figures are its own`] : [];
      byId("about").textContent = [served.version, served.runner, served.caller, ...seen].join(" · ");
      overview.begin();
      playground.setServed(served);
      view();
    },
    state(state) {
      setConnection(state.status, state.status);
      setTrouble(state.reason ? `${state.reason} ${state.remedy ?? ""}` : "");
      overview.setState(state);
      setApprovals(state.approvals);
    },
    usage: overview.setUsage,
    requests: ({ requests }) => overview.addRequests(requests),
    lost: () => setConnection("lost", "not connected"),
    refused(refusal) {
      if (refusal.status === 401) login(key.get() ? refusal.message : "");
      else setTrouble(refusal.message);
    },
  });
}

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set(byId("key").value.trim());
  byId("key").value = "";
  enter();
});
byId("forget-key").addEventListener("click", () => {
  key.forget();
  location.reload();
});
addEventListener("hashchange", view);

const about = await (await call("/", { headers: { accept: "application/json" } })).json();
if (about.needs_key && !key.get()) login("");
else enter();
