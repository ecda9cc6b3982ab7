// Follow the servers named by the arguments, and print what happens, one JSON document a line.

import { TocsinClient } from "../../../entrypoints/console/tocsin.js";

const print = (...told) => process.stdout.write(`${JSON.stringify(told)}\n`);

const client = new TocsinClient({ url: process.argv.slice(2), onState: (state) => print(state) });
client.subscribe(
  {},
  {
    onSubscribed: (position) => print("subscribed", position),
    onEvents: (events) => events.forEach((event) => print("event", event.position)),
  },
);
client.open();
