// The stream of what goes on, which is opened again whenever it ends.

import { call, events, Refusal } from "./api.js";

const LONGEST_PAUSE = 5000;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * @param on what to do with each kind of event, by its name; and lost(), refused(refusal)
 */
export async function follow(on) {
  for (let pause = 500; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      for await (const { event, data } of events(await call("/v1/console/events"))) {
        pause = 500;
        on[event]?.(JSON.parse(data));
      }
    } catch (error) {
      if (error instanceof Refusal && [401, 403].includes(error.status)) return on.refused(error);
      // the server is away; anything else is a fault of this page
      if (!(error instanceof Refusal || error instanceof TypeError || error.name === "NetworkError")) console.error(error);
    }
    on.lost();
    await sleep(pause);
  }
}
