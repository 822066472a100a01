/** Finds the test files that arguments of the command mean. */
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { irregularity } from '../system/regular-file.ts';
import { EXIT, OperatorError, systemReason } from '../text/operator-error.ts';

const NOT_ENTERED = new Set(['node_modules']);

/**
 * @param places files, and directories in which all `*_test.lua` count, at any depth
 * @param closed is told of directories in them that cannot be read; without it that is an error
 * @returns paths that begin as the places do, each once
 * @throws OperatorError when a place is not there, or when there is no test in any of them
 */
export function findTestFiles(places: readonly string[], closed?: (path: string) => void): string[] {
  const files = places.flatMap((place) => {
    try {
      const found = statSync(place);
      if (found.isDirectory()) return testsIn(place, closed);
      const reason = irregularity(found);
      if (reason !== undefined) throw new OperatorError(reason, EXIT.noInput);
      return [place];
    } catch (error) {
      throw new OperatorError(`test: ${place}: cannot be read: ${systemReason(error)}`, EXIT.noInput);
    }
  });
  if (files.length === 0) {
    throw new OperatorError(`test: no file *_test.lua in ${places.join(' ')}`, EXIT.usage);
  }
  return [...new Set(files)];
}

function testsIn(directory: string, closed: ((path: string) => void) | undefined): string[] {
  return entriesOf(directory, closed)
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        return entry.name.startsWith('.') || NOT_ENTERED.has(entry.name) ? [] : testsIn(path, closed);
      }
      return entry.name.endsWith('_test.lua') ? [path] : [];
    });
}

function entriesOf(directory: string, closed: ((path: string) => void) | undefined): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (closed === undefined) throw error;
    closed(directory);
    return [];
  }
}
