/** Who may read, and who may change, the files of a server that is about to start. */
import { closeSync, constants, lstatSync, openSync, statSync } from 'node:fs';
import { readSecrets } from '../mail-auth/own-senders.ts';
import { readKeyFile } from '../mail-auth/signing-keys.ts';
import type { Options } from '../options/option-table.ts';
import { type Account, nameOf } from '../system/privileges.ts';
import {
  isOpenToOthers,
  type Made,
  openToOthers,
  type ReadSecret,
  readSecret,
} from '../system/secret-file.ts';
import { wayTo } from '../system/way-there.ts';
import { codeOf, EXIT, exitCodeOf, OperatorError, systemReason } from '../text/operator-error.ts';

/** With the rights that this process has now, which may be lent by root. */
export function unreadableScript(path: string, { uid }: Account): string | undefined {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  } catch (error) {
    if (codeOf(error) === 'EACCES')
      return `user ${nameOf('passwd', uid)}, who runs the policy, may not read ${path}`;
  }
  return undefined;
}

/**
 * Makes sure that the workers' user can put nothing in the place of the journal, or of its key.
 * @param uid of the supervisor
 * @throws OperatorError
 */
export function requireJournalOutOfReach({ journal, journalKey }: Options, uid: number): void {
  for (const [option, path] of [
    ['--journal', journal],
    ['--journal-key', journalKey],
  ] as const) {
    if (path !== undefined) requireOutOfReach(`${option} ${path}`, path, uid);
  }
}

/** @param written names the option and the path. @throws OperatorError where others than root and `uid` can change a file */
function requireOutOfReach(written: string, path: string, uid: number): void {
  let objection: string | undefined;
  try {
    objection = wayTo(path, [uid]).objection;
    const owner = lstatSync(path, { throwIfNoEntry: false })?.uid ?? uid;
    if (owner !== 0 && owner !== uid) objection ??= `it belongs to uid ${owner}`;
  } catch (error) {
    throw new OperatorError(`${written}: ${systemReason(error)}`, exitCodeOf(error));
  }
  if (objection !== undefined)
    throw new OperatorError(
      `${written}: ${objection}, and is to be the supervisor's alone (--worker-user)`,
      EXIT.config,
    );
}

/** Files with secrets that options name, while this process may read them. @throws OperatorError */
export function readSecretFiles({ srsSecret, signingKey }: Options): {
  readonly secrets: readonly ReadSecret[];
  readonly warnings: readonly string[];
} {
  const named: (readonly [option: string, path: string, make: (bytes: Buffer) => Made<unknown>])[] = [
    ...(srsSecret === undefined ? [] : [['--srs-secret', srsSecret, readSecrets] as const]),
    ...signingKey.map((path) => ['--signing-key', path, readKeyFile] as const),
  ];
  const secrets = named.map(([option, path, make]) => {
    const written = `${option} ${path}`;
    let bytes: Buffer;
    try {
      bytes = readSecret(path);
    } catch (error) {
      throw new OperatorError(`${written}: cannot be read: ${systemReason(error)}`, exitCodeOf(error));
    }
    const made = make(bytes);
    if ('wrong' in made) throw new OperatorError(`${written}: ${made.wrong}`, EXIT.config);
    return { path, bytes };
  });
  const warnings = secrets.flatMap(({ path }) =>
    isOpenToOthers(statSync(path)) ? [openToOthers(path)] : [],
  );
  return { secrets, warnings };
}
