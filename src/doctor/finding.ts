/** What `doctor` says: what is wrong, and the line that mends it. */

/** `error`: mail is not filtered, or waits, as things are. `warning`: it will be some day, or in part. */
export type Severity = 'error' | 'warning';

/**
 * What to do. `shell`: a command to run as root. `option`: an option of the server. `sendmail.mc`: a line, after which
 * sendmail.cf has to be built anew. `policy`: what to change in the script. `dns`: a record. `look`: a command
 * that tells more.
 */
export interface Mend {
  readonly kind: 'shell' | 'option' | 'sendmail.mc' | 'policy' | 'dns' | 'look';
  readonly line: string;
}

export interface Finding {
  /** What --ignore takes, as `postfix-chroot`. */
  readonly id: string;
  readonly severity: Severity;
  /** `main.cf: smtpd_milters`, a path, a file with its line. */
  readonly where: string;
  readonly problem: string;
  /** In the order in which they are to be done; the first way, where there are several. */
  readonly mend: readonly Mend[];
}

/** What is right, or what was not looked at and why. */
export interface Remark {
  readonly kind: 'right' | 'note';
  readonly where: string;
  readonly text: string;
}

/** Collects what the checks find. */
export class Findings {
  readonly #ignored: ReadonlySet<string>;
  readonly #found = new Map<string, Finding>();
  readonly #remarks = new Map<string, Remark>();

  /** @param ignored ids of findings that are left out */
  constructor(ignored: readonly string[] = []) {
    this.#ignored = new Set(ignored);
  }

  /** The same thing found in two places is one finding. */
  add(finding: Finding): void {
    if (this.#ignored.has(finding.id)) return;
    const key = `${finding.id}\n${finding.where}\n${finding.problem}`;
    if (!this.#found.has(key)) this.#found.set(key, finding);
  }

  right(where: string, text: string): void {
    this.#remarks.set(`${where}\n${text}`, { kind: 'right', where, text });
  }

  note(where: string, text: string): void {
    this.#remarks.set(`${where}\n${text}`, { kind: 'note', where, text });
  }

  /** The errors first, each in the order in which it was found. */
  get all(): Finding[] {
    const found = [...this.#found.values()];
    return [
      ...found.filter(({ severity }) => severity === 'error'),
      ...found.filter(({ severity }) => severity === 'warning'),
    ];
  }

  get remarks(): Remark[] {
    return [...this.#remarks.values()];
  }
}

export const shell = (line: string): Mend => ({ kind: 'shell', line });
export const inDns = (line: string): Mend => ({ kind: 'dns', line });
export const look = (line: string): Mend => ({ kind: 'look', line });
export const option = (line: string): Mend => ({ kind: 'option', line });
export const inSendmailMc = (line: string): Mend => ({ kind: 'sendmail.mc', line });
export const inPolicy = (line: string): Mend => ({ kind: 'policy', line });

/** A word of a shell command, quoted where it must be. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
