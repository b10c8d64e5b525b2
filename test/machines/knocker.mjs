// Runs in a namespace of its own and prints, as JSON, what it sees from there:
//   node knocker.mjs tcp ADDRESS FIRST LAST   ports that accept, and ports that refuse; all others were silent
//   node knocker.mjs udp ADDRESS PORT         "silent", "refused" (ICMP came back) or "answered"
//   node knocker.mjs listen PORT              says "here" to whoever connects, until it is killed
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";

const AT_ONCE = 6000;
const PATIENCE = 1200;

/** @returns {Promise<"open" | "refused" | "silent">} */
function knock(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    // On a busy machine the time may be over before anybody has looked for an answer: look once more.
    const timer = setTimeout(() => setImmediate(() => end("silent")), PATIENCE);
    const end = (answer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end("open"));
    socket.once("error", ({ code }) => {
      if (code === "ECONNREFUSED" || code === "ECONNRESET") return end("refused");
      if (code === "ETIMEDOUT" || code === "EHOSTUNREACH") return end("silent");
      throw new Error(`port ${port}: ${code}`);
    });
  });
}

async function tcp(host, first, last) {
  const seen = { open: [], refused: [], silent: 0 };
  let next = Number(first);
  const worker = async () => {
    for (let port = next++; port <= Number(last); port = next++) {
      const answer = await knock(host, port);
      if (answer === "silent") seen.silent += 1;
      else seen[answer].push(port);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return seen;
}

function udp(host, port) {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const end = (answer) => {
      clearTimeout(timer);
      clearTimeout(second);
      socket.close();
      resolve(answer);
    };
    // On a busy machine the time may be over before anybody has looked for an answer: look once more.
    const timer = setTimeout(() => setImmediate(() => end("silent")), PATIENCE);
    let second;
    socket.once("message", () => end("answered"));
    socket.once("error", () => end("refused"));
    // A refusal is told to a connected socket at its next call: hence two datagrams.
    socket.connect(Number(port), host, () => {
      socket.send("garbage");
      second = setTimeout(() => socket.send("garbage again", () => undefined), 200);
    });
  });
}

const [verb, ...args] = process.argv.slice(2);
if (verb === "listen") createServer((socket) => socket.end("here\n")).listen(Number(args[0]), "0.0.0.0", () => console.log("ready"));
else console.log(JSON.stringify(await (verb === "udp" ? udp(...args) : tcp(...args))));
