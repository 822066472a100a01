/** The messages of a directory or an mbox file. */
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readInput, readStandardInput, unreadable } from '../input-file.ts';
import { wrong } from './try-options.ts';

export interface StoredMessage {
  /** File name below the directory, or number in the mbox. */
  readonly name: string;
  /** @throws OperatorError when it cannot be read. */
  read(): Buffer;
}

/** @param path `-` is an mbox on standard input. @throws OperatorError when there is no such place, or no message in it. */
export async function openMailbox(path: string): Promise<StoredMessage[]> {
  const messages = path === '-' ? partsOf(await readStandardInput()) : messagesAt(path);
  if (messages.length === 0) throw wrong(`--repeat ${path}: no messages in it`);
  return messages;
}

function messagesAt(path: string): StoredMessage[] {
  return isDirectory(path) ? filesBelow(path, path) : partsOf(readInput('--repeat', path));
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw unreadable('--repeat', path, error);
  }
}

/** In the order of their names; those that begin with a dot are none. */
function filesBelow(top: string, directory: string): StoredMessage[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.'))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) return filesBelow(top, path);
      if (!entry.isFile() && !(entry.isSymbolicLink() && !isDirectory(path))) return [];
      const name = Buffer.from(relative(top, path)).toString('latin1');
      return [{ name, read: () => readInput('--repeat', path) }];
    });
}

/** A message begins with a line `From ` at the beginning or after an empty line; `>From ` stands for `From ` (mboxrd). */
function partsOf(mbox: Buffer): StoredMessage[] {
  const text = mbox.toString('latin1');
  if (!text.startsWith('From ')) return text.trim() === '' ? [] : [{ name: '1', read: () => mbox }];
  const starts = [...text.matchAll(/(?<=^|\r?\n\r?\n)From [^\n]*\n/g)];
  return starts.map((start, index) => ({
    name: String(index + 1),
    read: () => {
      const part = text.slice(start.index + start[0].length, starts[index + 1]?.index ?? text.length);
      // The empty line before the next message is the mbox's.
      return Buffer.from(part.replace(/\r?\n$/, '').replace(/^>(>*From )/gm, '$1'), 'latin1');
    },
  }));
}
