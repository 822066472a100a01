/**
 * The modifications that a filter may ask for: one row for each kind. The bits of negotiation, the names that `--actions`
 * knows and the words of a refusal follow from this table.
 */
import { SMFIF } from './constants.ts';
import type { Modification } from './reply.ts';

interface Row {
  /** As `--actions` names it; kinds that need the same bit share a name. */
  readonly option: string;
  /** SMFIF_ bits, each with what it lets a filter do. */
  readonly actions: readonly (readonly [bit: number, verb: string])[];
}

const MODIFICATIONS = {
  addHeader: { option: 'add-header', actions: [[SMFIF.ADDHDRS, 'add headers']] },
  insertHeader: { option: 'add-header', actions: [[SMFIF.ADDHDRS, 'add headers']] },
  changeHeader: { option: 'change-header', actions: [[SMFIF.CHGHDRS, 'change headers']] },
  replaceBody: { option: 'change-body', actions: [[SMFIF.CHGBODY, 'replace the body']] },
  addRecipient: {
    option: 'add-recipient',
    actions: [
      [SMFIF.ADDRCPT, 'add recipients'],
      [SMFIF.ADDRCPT_PAR, 'add recipients with parameters'],
    ],
  },
  deleteRecipient: { option: 'delete-recipient', actions: [[SMFIF.DELRCPT, 'delete recipients']] },
  changeSender: { option: 'change-sender', actions: [[SMFIF.CHGFROM, 'change the sender']] },
  quarantine: { option: 'quarantine', actions: [[SMFIF.QUARANTINE, 'quarantine messages']] },
} as const satisfies Readonly<Record<Modification['kind'], Row>>;

const ROWS = Object.values(MODIFICATIONS);
/** One list of all bits: it is gone through at each edit. */
const ACTIONS = ROWS.flatMap((row): Row['actions'] => row.actions);

export type ActionName = (typeof ROWS)[number]['option'];

/** The names that `--actions` knows. */
export const ACTION_NAMES: readonly ActionName[] = [...new Set(ROWS.map(({ option }) => option))];

/** SMFIF_ bits of what these names stand for. */
export function actionBits(names: readonly ActionName[]): number {
  return ROWS.filter(({ option }) => names.includes(option))
    .flatMap((row): Row['actions'] => row.actions)
    .reduce((bits, [bit]) => bits | bit, 0);
}

/** SMFIF_ bits of every modification. */
export const ALL_ACTIONS = actionBits(ACTION_NAMES);

/**
 * What one of the missing bits would let a filter do: `add headers`.
 * @param missing SMFIF_ bits
 * @returns undefined where no bit of a modification is missing
 */
export function firstMissing(missing: number): string | undefined {
  return ACTIONS.find(([bit]) => (bit & missing) !== 0)?.[1];
}
