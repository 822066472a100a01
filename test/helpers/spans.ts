/** Stretches of time, in milliseconds. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** How much of one lies in others, which do not overlap. */
export function shareOf({ from, to }: Span, others: readonly Span[]): number {
  let share = 0;
  for (const other of others) share += Math.max(0, Math.min(to, other.to) - Math.max(from, other.from));
  return share;
}
