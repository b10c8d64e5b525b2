import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheFolder } from "../../cli/places.js";
import { builtModules } from "../../rehearsal/engine/built.js";
import { leftovers } from "../../rehearsal/machines/leftovers.js";
import { createMachine, deleteMachine } from "../../rehearsal/machines/machine.js";
import { namesOf } from "../../rehearsal/machines/names.js";
import { end, processes } from "../../rehearsal/machines/processes.js";
import { attempt, until, type Finished } from "../../rehearsal/run.js";
import { deleteStore, running, startStore, stopStore, type Store, type StoreArgs } from "../../rehearsal/machines/store.js";
import { DAEMON_MODULES } from "../../rehearsal/system/daemons/daemons.js";

const cache = cacheFolder();
const folder = mkdtempSync(join(tmpdir(), "holdfast-store-"));
const state = join(folder, "state");
const key = join(folder, "key");
const address = "10.231.250.41";
const PASSWORD = "the-password-of-alice-is-long-and-random-5d1e";
const report = (line: string): void => {
  if (process.env["VERBOSE"]) console.log(line);
};
let args: StoreArgs;
let store: Store;

/** Runs on the machine, with a shell function `restic_as USER PASSWORD REPOSITORY …`. */
function onMachine(script: string): Promise<Finished> {
  const withRestic = `set -e; restic_as() { u=$1 p=$2 r=$3; shift 3; RESTIC_REST_USERNAME=$u RESTIC_REST_PASSWORD=$p RESTIC_PASSWORD=repository restic --cacert /root/store.pem -r rest:https://${store.address}:${store.port}/$r/ "$@"; }; ${script}`;
  return attempt(["ssh", "-F", "none", "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${join(namesOf(state, "alice").folder, "known_hosts")}`, `root@${address}`, "--", "bash", "-s"], { input: withRestic });
}

beforeAll(async () => {
  const [programs] = await builtModules(DAEMON_MODULES.filter(({ name }) => name === "rest-server"), { cache, report });
  args = { state, programs: programs!, port: 45_871, users: { alice: PASSWORD } };
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  await createMachine({ cache, state, name: "alice", address, authorizedKey: readFileSync(`${key}.pub`, "utf8"), report });
  store = await startStore(args);
  await onMachine(`cat > /root/store.pem <<'END'\n${store.certificate}END\n`);
});

afterAll(async () => {
  await deleteMachine(state, "alice", { forget: "generation" });
  await deleteStore(state);
  expect(leftovers(state)).toEqual([]);
  rmSync(folder, { recursive: true });
});

describe("the store", () => {
  it("takes a backup from inside a machine over TLS, and gives it back", async () => {
    expect(await onMachine(`restic_as alice ${PASSWORD} alice init; echo precious > /root/file; restic_as alice ${PASSWORD} alice backup /root/file; rm /root/file; restic_as alice ${PASSWORD} alice restore latest --target /; grep precious /root/file`)).toMatchObject({ exitCode: 0 });
  });

  it("refuses to forget and prune what it has", async () => {
    await onMachine(`echo more > /root/more; restic_as alice ${PASSWORD} alice backup /root/more`);
    const { exitCode, stdout, stderr } = await onMachine(`restic_as alice ${PASSWORD} alice forget --group-by host --keep-last 1 --prune`);
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toContain("403 Forbidden");
    expect((await onMachine(`restic_as alice ${PASSWORD} alice snapshots --json`)).stdout.match(/"short_id"/g)).toHaveLength(2);
  });

  it("refuses a wrong password, another user's repository, and a client that pinned another certificate", async () => {
    expect((await onMachine(`restic_as alice wrong alice snapshots`)).exitCode).not.toBe(0);
    expect((await onMachine(`restic_as alice ${PASSWORD} bob init`)).exitCode).not.toBe(0);
    const answer = (authorities: string): Promise<Finished> => onMachine(`curl -sS -o /dev/null -w '%{http_code}' --cacert ${authorities} https://${store.address}:${store.port}/`);
    expect(await answer("/root/store.pem")).toMatchObject({ exitCode: 0, stdout: "401" });
    expect((await answer("/etc/ssl/certs/ca-certificates.crt")).stderr).toContain("certificate");
  });

  it("keeps running, certificate and data, when it is asked for again, and is started again when it died", async () => {
    const [before] = running(state);
    expect(await startStore(args)).toEqual(store);
    expect(running(state)).toEqual([before]);
    await end(() => running(state), 0);
    expect(await startStore(args)).toEqual(store);
    expect(running(state)[0]!.pid).not.toBe(before!.pid);
    expect(await onMachine(`restic_as alice ${PASSWORD} alice snapshots`)).toMatchObject({ exitCode: 0 });
  });

  it("knows a new user without a restart", async () => {
    const [before] = running(state);
    await startStore({ ...args, users: { alice: PASSWORD, bob: "another-long-password" } });
    expect(await until(async () => (await onMachine(`restic_as bob another-long-password bob cat config || restic_as bob another-long-password bob init`)).exitCode === 0, 10_000, 500)).toBe(true);
    expect(running(state)).toEqual([before]);
  });

  it("keeps passwords as hashes only, and out of its arguments", () => {
    expect(readFileSync(join(state, "store/htpasswd"), "utf8")).not.toContain(PASSWORD);
    expect(processes().filter(({ argv }) => argv[0]?.endsWith("rest-server") && argv.some((one) => one.includes(PASSWORD)))).toEqual([]);
  });

  it("stops, and keeps its data until it is deleted", async () => {
    await stopStore(state);
    expect(running(state)).toEqual([]);
    await startStore(args);
    expect(await onMachine(`restic_as alice ${PASSWORD} alice snapshots`)).toMatchObject({ exitCode: 0 });
  });
});
