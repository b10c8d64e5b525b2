/** Numbers of a version such as `v3.250.0`, `go1.26.8` or `1.26rc2`; what follows them is not looked at. */
export function versionNumbers(text: string): readonly number[] {
  const found = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return found === null ? [] : found.slice(1).map((part) => Number(part ?? 0));
}

/** Whether a version is at least as new as another; one that cannot be read is older than any. */
export function isAtLeast(version: string, oldest: string): boolean {
  const [left, right] = [versionNumbers(version), versionNumbers(oldest)];
  if (left.length === 0) return false;
  for (const [i, wanted] of right.entries()) {
    const has = left[i] ?? 0;
    if (has !== wanted) return has > wanted;
  }
  return true;
}
