import { stringify } from "yaml";
import type { OpensshKeys } from "../secrets/openssh.js";

/**
 * What cloud-init gives a new server: the one host key by which it is known at first contact, and no way in by password.
 *
 * Whoever is on the server can read this from the cloud's metadata service for as long as the server lives: so this key is of use for first contact alone, and
 * the step `welcome` puts the host's own in its place before anything else is sent.
 *
 * @see https://docs.cloud-init.io, modules cc_ssh and cc_set_passwords
 */
export const userDataOf = ({ privateKey, publicKey }: OpensshKeys): string => `#cloud-config\n${stringify({
  ssh_deletekeys: true,
  ssh_genkeytypes: ["ed25519"],
  ssh_keys: { ed25519_private: privateKey, ed25519_public: publicKey },
  ssh_pwauth: false,
  disable_root: false,
}, { lineWidth: 0 })}`;
