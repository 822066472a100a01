/** Finding decisions in a journal, by what of them is asked for. */
import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { openRegular } from '../system/regular-file.ts';
import { EXIT, OperatorError, systemReason } from '../text/operator-error.ts';
import { keyOfReader } from './journal-key.ts';
import { type JournalQuery, matcherOf } from './journal-query.ts';

/** The newest that are found where the query does not say. */
const USUAL_FOUND = 20;

export function parsedLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined; // A line that a crash has cut.
  }
}

/**
 * Decisions in the journal at `path` for which all of the query holds, the newest first.
 * @param keyPath as in JournalSettings; without the key, addresses are not found in a redacted journal
 * @throws OperatorError when it cannot be read.
 */
export async function searchJournal(path: string, query: JournalQuery, keyPath?: string): Promise<unknown[]> {
  const key = keyOfReader(keyPath ?? `${path}.key`);
  const most = query.last ?? USUAL_FOUND;
  const found: unknown[] = [];
  try {
    for (const file of [`${path}.1`, path]) {
      if (file !== path && !existsSync(file)) continue;
      let matches: ReturnType<typeof matcherOf> | undefined;
      for await (const line of linesOf(file)) {
        const entry = parsedLine(line);
        if (matches === undefined) matches = matcherOf(query, entry, key);
        else if (entry !== undefined && matches(entry)) {
          found.push(entry);
          if (found.length > most) found.shift();
        }
      }
    }
  } catch (error) {
    throw new OperatorError(`journal ${path}: cannot be read: ${systemReason(error)}`, EXIT.noInput);
  }
  return found.reverse();
}

/** Without line ends. @throws where it is no regular file */
function linesOf(path: string): AsyncIterable<string> {
  const input = createReadStream(path, { fd: openRegular(path), encoding: 'utf8' });
  return createInterface({ input, crlfDelay: 0 });
}
