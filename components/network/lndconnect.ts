import { createHmac } from "node:crypto";
import { derive } from "../secrets/derive.js";

/** What LND's admin macaroon permits, as lnd writes it. @see lnd macaroons and rpcserver.go, admin permissions */
const ADMIN: readonly (readonly [entity: string, actions: readonly string[]])[] = [
  ["address", ["read", "write"]], ["info", ["read", "write"]], ["invoices", ["read", "write"]], ["macaroon", ["generate", "read", "write"]],
  ["message", ["read", "write"]], ["offchain", ["read", "write"]], ["onchain", ["read", "write"]], ["peers", ["read", "write"]], ["signer", ["generate", "read"]],
];

/**
 * LND's admin macaroon for a root key, made without asking LND: binary, version 2.
 *
 * @param rootKey 64 hex digits: the delivered secret `lnd-macaroon-root-key`
 * @see go-macaroon's format, version 2; bakery identifier version 3 (protobuf: nonce = 1, storageId = 2, ops = 3 of entity = 1, actions = 2)
 */
export function adminMacaroon(rootKey: string): Buffer {
  const nonce = derive(rootKey, "lndconnect/admin/nonce/1", 16);
  const operations = ADMIN.map(([entity, actions]) => field(3, Buffer.concat([field(1, entity), ...actions.map((action) => field(2, action))])));
  const identifier = Buffer.concat([Buffer.from([3]), field(1, nonce), field(2, "0"), ...operations]);
  const key = hmac("macaroons-key-generator", Buffer.from(rootKey, "hex"));
  return Buffer.concat([
    Buffer.from([2]), packet(1, Buffer.from("lnd")), packet(2, identifier), Buffer.from([0]),
    Buffer.from([0]),
    packet(6, hmac(key, identifier)),
  ]);
}

/**
 * What a phone wallet scans to use this node.
 *
 * @param certificate PEM; its DER goes into the address as base64url
 * @see https://github.com/LN-Zap/lndconnect/blob/master/lnd_connect_uri.md
 */
export function lndconnect(node: { readonly address: string; readonly port: number; readonly certificate: string; readonly rootKey: string }): string {
  const der = Buffer.from(node.certificate.replace(/-----[^-]+-----|\s/g, ""), "base64");
  return `lndconnect://${node.address}:${node.port}?cert=${der.toString("base64url")}&macaroon=${adminMacaroon(node.rootKey).toString("base64url")}`;
}

const hmac = (key: string | Buffer, data: Buffer): Buffer => createHmac("sha256", key).update(data).digest();

/** A protobuf field of wire type 2. */
function field(number: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([(number << 3) | 2]), length(bytes), bytes]);
}

const packet = (type: number, bytes: Buffer): Buffer => Buffer.concat([Buffer.from([type]), length(bytes), bytes]);

/** A length as a varint. */
function length(bytes: Buffer): Buffer {
  const groups: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    groups.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) return Buffer.from(groups);
  }
}
