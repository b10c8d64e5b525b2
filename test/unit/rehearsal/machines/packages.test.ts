import { describe, expect, it } from "vitest";
import { installArguments, missingPackages } from "../../../../rehearsal/machines/packages.js";

describe("missing packages", () => {
  it("are none where everything is there", () => expect(missingPackages(() => true)).toEqual([]));
  it("are each named once", () => {
    expect(missingPackages(() => false)).toEqual([
      "age", "debian-archive-keyring", "iproute2", "mmdebstrap", "mount", "nftables", "openssh-client", "openssl", "restic", "systemd-container", "wireguard-go", "wireguard-tools",
    ]);
    expect(missingPackages((file) => file !== "systemd-nspawn")).toEqual(["systemd-container"]);
  });
  it("are installed without a question, and after another apt has finished", () => {
    expect(installArguments(["age", "restic"])).toEqual(["apt-get", "-o", "DPkg::Lock::Timeout=120", "-q", "-y", "--no-install-recommends", "install", "age", "restic"]);
  });
});
