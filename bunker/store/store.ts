import type { AuditLine, Client, Deed, Key, Policy, PublicKey, Rule, Time, Token } from "../model.js";

/** How a key rests: NIP-49 text, or what nsecbunkerd wrote, until it is opened for the first time. */
export type Rest = { readonly at: "ncryptsec"; readonly text: string } | { readonly at: "legacy"; readonly iv: string; readonly data: string };

export type NewRule = Omit<Rule, "id">;
export type NewPolicy = Omit<Policy, "id" | "createdAt" | "rules"> & { readonly rules: readonly NewRule[] };

/** How many there are of each. */
export interface Counts {
  readonly keys: number;
  readonly policies: number;
  readonly rules: number;
  readonly tokens: number;
  readonly clients: number;
  readonly usage: number;
  readonly auditLines: number;
}

/** Finds are undefined when there is none; changes of what is not there throw, by its name. */
export interface Store {
  readonly keys: {
    all(): Key[];
    rest(name: string): Rest | undefined;
    /** @throws when the name or the public key is taken: nothing is ever overwritten */
    add(name: string, rest: Rest, publicKey: PublicKey | undefined): void;
    /** After the first opening of an imported entry, a change of passphrase. */
    replace(name: string, rest: Rest, publicKey: PublicKey): void;
    /** Another key under the name: the old one's clients are revoked, its tokens withdrawn. */
    succeed(name: string, rest: Rest, publicKey: PublicKey): void;
    /** With its clients and tokens. The name stays taken by nobody; the audit keeps what was. */
    remove(name: string): void;
  };
  readonly policies: {
    all(): Policy[];
    get(id: number): Policy | undefined;
    add(policy: NewPolicy): Policy;
    /** Rules that stay the same keep their id and what was used of their caps. */
    update(id: number, policy: NewPolicy): Policy;
  };
  readonly tokens: {
    of(keyName: string): Token[];
    /** The secret is made here: 32 bytes of the system's CSPRNG, in hex. */
    add(token: { readonly keyName: string; readonly clientName: string; readonly policyId: number; readonly expiresAt?: Time }): Token & { readonly secret: string };
    /** Compared in constant time. Neither expired nor redeemed ones are found. */
    find(keyName: string, secret: string, now: Time): Token | undefined;
    /** Its secret is forgotten. Withdrawing what is withdrawn is nothing. @throws when it was redeemed */
    withdraw(id: number): void;
    /** Makes the client, spends the token: both or neither. A client that is there already gets the token's policy and expiry, and is no longer revoked. */
    redeem(id: number, publicKey: PublicKey, now: Time): Client;
  };
  readonly clients: {
    of(keyName: string): Client[];
    all(): Client[];
    find(keyName: string, publicKey: PublicKey): Client | undefined;
    /** Without a token: `nostrconnect://`, an import, the operator. */
    add(client: { readonly keyName: string; readonly publicKey: PublicKey; readonly name: string; readonly policyId?: number; readonly expiresAt?: Time }): Client;
    rename(publicKey: PublicKey, name: string): void;
    revoke(id: number, now: Time): void;
  };
  readonly usage: {
    /** Uses of a rule by a client, since a time or ever. */
    count(ruleId: number, clientId: number, since?: Time): number;
  };
  readonly replays: {
    /** Remembers an event id. @returns `new` or `seen` */
    remember(eventId: string, until: Time): "new" | "seen";
    forget(before: Time): void;
  };
  readonly audit: {
    append(deed: Deed, now: Time): AuditLine;
    /** In order. With `after`: the first that follow it; without: the last. 1,000 of them, if no limit is given. */
    query(filter: { readonly keyName?: string; readonly who?: string; readonly since?: Time; readonly after?: number; readonly limit?: number }): AuditLine[];
    /** Follows the whole chain. @returns the last line's number, or the first fault in words */
    verify(): { readonly lines: number; readonly fault?: string };
    head(): { readonly sequence: number; readonly hash: string };
    hashAt(sequence: number): string | undefined;
  };
  /** What comes from elsewhere, with the times and the state that it had there. A mark of its own tells later that it came already, though it may be gone since. */
  readonly imports: {
    has(mark: string): boolean;
    /** What it became, where that was said. */
    idOf(mark: string): number | undefined;
    /** Marking what is marked is nothing. */
    mark(mark: string, id?: number): void;
    client(client: Omit<Client, "id">): Client;
    token(token: Omit<Token, "id">): Token;
  };
  counts(): Counts;
  /** One transaction, on the disk before it returns: a use of a rule, the client's last use and the audit line, all or none. */
  record(deed: Deed, now: Time, use?: { readonly clientId: number; readonly ruleId?: number }): AuditLine;
  /** Several changes, all or none. May be nested. */
  atomically<T>(change: () => T): T;
  /** A consistent copy of the whole database while it is in use. @see SQLite, VACUUM INTO */
  copyTo(path: string): void;
  /** Closing what is closed is nothing. */
  close(): void;
}
