/** What an import did, in words for a person. Names keys and clients, never a secret. */
export interface ImportReport {
  readonly brought: readonly string[];
  /** Came before, or was here before it came: left as it is. */
  readonly already: number;
  readonly leftOut: readonly { readonly what: string; readonly why: string; readonly level: "warn" | "error" }[];
  /** What came and wants somebody's eye. */
  readonly warnings: readonly string[];
}

/** A report while it is being written. */
export interface Draft {
  bring(what: string): void;
  leave(what: string, why: string, level?: "warn" | "error"): undefined;
  warn(line: string): void;
  seen(): void;
  done(): ImportReport;
}

export function draftReport(): Draft {
  const brought: string[] = [];
  const leftOut: { what: string; why: string; level: "warn" | "error" }[] = [];
  const warnings: string[] = [];
  let already = 0;
  return {
    bring: (what) => { brought.push(what); },
    leave: (what, why, level = "warn") => {
      leftOut.push({ what, why, level });
      return undefined;
    },
    warn: (line) => { warnings.push(line); },
    seen: () => { already++; },
    done: () => ({ brought, already, leftOut, warnings }),
  };
}
