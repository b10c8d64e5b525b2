import { describe, expect, it } from "vitest";
import { buildArguments, mirrorOf, networkFile, RECIPE, recipeHash } from "../../../../rehearsal/machines/recipe.js";

describe("the image's recipe", () => {
  it("is built in namespaces that die with the builder, from signed packages", () => {
    expect(buildArguments({ ...RECIPE, packages: ["a", "b"] }, "/into", "http://mirror.example/debian/")).toEqual([
      "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
      "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg", "--include=a,b",
      "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
      "trixie", "/into", "http://mirror.example/debian/",
    ]);
    expect(buildArguments(RECIPE, "/into", undefined).at(-1)).toBe("/into");
  });
  it("has another hash for whatever changes the image", () => {
    const hash = recipeHash(RECIPE, "x64");
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect(recipeHash({ ...RECIPE, packages: [...RECIPE.packages, "jq"] }, "x64")).not.toBe(hash);
    expect(recipeHash({ ...RECIPE, files: { ...RECIPE.files, "etc/x": "" } }, "x64")).not.toBe(hash);
    expect(recipeHash(RECIPE, "arm64")).not.toBe(hash);
  });
  it("lets nobody in by password", () => {
    const sshd = RECIPE.files["etc/ssh/sshd_config.d/10-rehearsal.conf"]!;
    expect(sshd).toContain("PasswordAuthentication no\n");
    expect(sshd).toContain("PermitRootLogin prohibit-password\n");
  });
  it("has a placeholder for the address, so that systemd's own DHCP is never in charge", () => {
    expect(RECIPE.files["etc/systemd/network/05-host0.network"]).toBe(networkFile(undefined));
    expect(networkFile(undefined)).not.toContain("Address=");
  });
});

describe("the mirror", () => {
  it("is the one of which this machine's apt has Debian, and not its security archive or another publisher's", () => {
    expect(mirrorOf("Docker|Docker|http://a.example/|\nDebian|Debian-Security|http://b.example/|\nDebian|Debian|http://c.example/debian/")).toBe("http://c.example/debian/");
  });
  it("is mmdebstrap's own default on a machine that has none", () => {
    expect(mirrorOf("Ubuntu|Ubuntu|http://a.example/\n")).toBeUndefined();
  });
});
