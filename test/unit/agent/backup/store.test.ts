import { describe, expect, it } from "vitest";
import { newestOf, repositoryWithCredentials, resticArguments, troubleIn } from "../../../../agent/backup/store.js";
import { ProgramFailure } from "../../../../agent/run.js";

const places = { repositoryFile: "/run/holdfast/backup-repository", passwordFile: "/etc/nix-bitcoin-secrets/backup-password", cacheDirectory: "/var/lib/holdfast/restic-cache" };

describe("resticArguments", () => {
  it("names files alone, so that no secret is among them", () => {
    expect(resticArguments(places, ["snapshots", "--json"])).toEqual([
      "restic",
      "--repository-file", "/run/holdfast/backup-repository",
      "--password-file", "/etc/nix-bitcoin-secrets/backup-password",
      "--cache-dir", "/var/lib/holdfast/restic-cache",
      "snapshots", "--json",
    ]);
  });
  it("trusts the store's own certificate when it has one", () => {
    expect(resticArguments({ ...places, certificateFile: "/run/holdfast/backup-store.pem" }, ["init"]).slice(7)).toEqual(["--cacert", "/run/holdfast/backup-store.pem", "init"]);
  });
});

describe("repositoryWithCredentials", () => {
  it("puts user and password into the address of a REST server", () => {
    expect(repositoryWithCredentials("rest:https://10.0.0.9:8000/alice", "alice", "p@ss/word")).toBe("rest:https://alice:p%40ss%2Fword@10.0.0.9:8000/alice");
  });
  it("replaces a user that stands there already", () => {
    expect(repositoryWithCredentials("rest:http://eve@store/alice", "alice", "x")).toBe("rest:http://alice:x@store/alice");
  });
  it("leaves a folder as it is", () => {
    expect(repositoryWithCredentials("/mnt/backup", "alice", "x")).toBe("/mnt/backup");
  });
});

describe("troubleIn", () => {
  const failure = (exitCode: number | undefined, stderr: string) => troubleIn(new ProgramFailure(["restic"], exitCode, stderr));
  it("knows a repository that does not exist, of old and new restic", () => {
    expect(failure(10, "Fatal: repository does not exist")).toBe("absent");
    expect(failure(1, "Fatal: unable to open config file: stat /r/config: no such file or directory\nIs there a repository at the following location?\n/r")).toBe("absent");
    expect(failure(1, "Fatal: unable to open config file: <config/> does not exist\nIs there a repository at the following location?\nrest:http://s/")).toBe("absent");
  });
  it("knows a wrong password, of old and new restic", () => {
    expect(failure(12, "Fatal: wrong password")).toBe("wrong-password");
    expect(failure(1, "Fatal: wrong password or no key found")).toBe("wrong-password");
  });
  it.each([
    [undefined, ""],
    [1, "Fatal: unable to open config file: Head \"http://s/config\": dial tcp 127.0.0.1:1: connect: connection refused\nIs there a repository at the following location?"],
    [1, "Fatal: unable to open config file: unexpected HTTP response (401): 401 Unauthorized"],
    [1, "Fatal: unable to open config file: Head \"https://s/config\": x509: certificate signed by unknown authority"],
    [1, "Fatal: unable to open config file: dial tcp: lookup store: no such host"],
    [1, "open /run/holdfast/backup-repository: no such file or directory"],
    [11, "Fatal: unable to create lock in backend: repository is already locked"],
    [3, "at least one source file could not be read"],
  ])("takes nothing else for an empty store: exit %s, %s", (exitCode, stderr) => {
    expect(failure(exitCode, stderr)).toBe("unreachable");
  });
});

describe("newestOf", () => {
  const snapshot = (id: string, time: string, ...tags: string[]) => ({ id, time, tags, paths: ["/var/lib/holdfast/backup"] });
  it("goes by the sequence before the clock", () => {
    expect(newestOf([snapshot("a", "2026-05-01T00:00:00Z", "holdfast", "sequence-9"), snapshot("b", "2026-04-01T00:00:00Z", "holdfast", "sequence-10"), snapshot("c", "2026-06-01T00:00:00Z", "holdfast")])?.id).toBe("b");
  });
  it("takes the later of two with one sequence", () => {
    expect(newestOf([snapshot("a", "2026-05-01T00:00:00.2Z", "sequence-9"), snapshot("b", "2026-05-01T00:00:00.1Z", "sequence-9")])?.id).toBe("a");
  });
  it("finds none in an empty repository", () => {
    expect(newestOf([])).toBeUndefined();
  });
});
