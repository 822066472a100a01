/** What the rules report. */
import type { PolicyScript } from './policy-script.ts';
import type { Span } from './source.ts';
import type { Node } from './syntax.ts';

/** An error makes the script do something else than it says; a warning is for what is hardly meant. */
export type Severity = 'error' | 'warning';

export interface Finding extends Span {
  readonly rule: string;
  readonly severity: Severity;
  /** Latin1 text, in words for the policy's author. */
  readonly message: string;
  /** What to write instead. */
  readonly suggestion?: string | undefined;
}

export interface Details {
  readonly suggestion?: string | undefined;
  /** Where it is not the rule's own. */
  readonly severity?: Severity;
}

export type Report = (node: Node, message: string, details?: Details) => void;

export interface Rule {
  /** As comments that silence it name it. */
  readonly name: string;
  readonly severity: Severity;
  /** One line for the documentation. */
  readonly summary: string;
  readonly check: (policy: PolicyScript, report: Report) => void;
}
