/** Options of one command alone: for the command line only, and read by the command itself. */

export interface OwnOption {
  /** That `--help` shows it below, without the colon. */
  readonly heading: string;
  readonly help: string;
  /** A `switch` stands alone, a `value` is given once, a `list` may be given several times. */
  readonly kind: 'switch' | 'value' | 'list';
  /** What `--help` says of the default. */
  readonly shown?: string;
}

export type OwnOptions = Readonly<Record<string, OwnOption>>;

export function ownSwitch(heading: string, help: string): OwnOption {
  return { heading, help, kind: 'switch' };
}

export function ownValue(heading: string, help: string, shown?: string): OwnOption {
  return { heading, help, kind: 'value', ...(shown !== undefined && { shown }) };
}

export function ownList(heading: string, help: string, shown?: string): OwnOption {
  return { ...ownValue(heading, help, shown), kind: 'list' };
}
