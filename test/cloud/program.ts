// The cloud's own process over a backend in memory, for tests of the process.
import { serveCloud } from "../../rehearsal/cloud/program.js";
import { fakeBackend } from "./fakeBackend.js";

await serveCloud(() => fakeBackend());
