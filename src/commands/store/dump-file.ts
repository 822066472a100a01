/** Dumps of a store in files, and from them. */
import {
  closeSync,
  createReadStream,
  fsyncSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { createInterface } from 'node:readline';
import { DUMP_HEAD, dumpLine, readDumpLine } from '../../store/dump.ts';
import type { Entry } from '../../store/operation.ts';
import type { Stored } from '../../store/stored.ts';
import { EXIT, exitCodeOf, OperatorError, systemReason } from '../../text/operator-error.ts';
import { unreadable } from '../input-file.ts';

/** Entries that are written at a time. */
const BATCH = 200;

/**
 * @param path `-` for standard output. A file is there when all of it is.
 * @param print takes a line of standard output; false where nobody reads any more
 * @throws OperatorError
 */
export async function dumpTo(
  path: string,
  entries: AsyncIterable<Entry>,
  print: (text: string) => Promise<boolean>,
): Promise<void> {
  if (path === '-') {
    for await (const line of linesOf(entries)) {
      if (!(await print(line))) return;
    }
    return;
  }
  const isSpecial = lstatSync(path, { throwIfNoEntry: false })?.isFile() === false;
  const part = isSpecial ? path : `${path}.${process.pid}.part`;
  const file = attempt(path, () => openSync(part, isSpecial ? 'w' : 'wx', 0o600));
  let isWhole = false;
  try {
    for await (const line of linesOf(entries)) attempt(path, () => writeSync(file, line));
    if (!isSpecial) {
      attempt(path, () => {
        fsyncSync(file);
        renameSync(part, path);
      });
    }
    isWhole = true;
  } finally {
    closeSync(file);
    if (!isWhole && !isSpecial) rmSync(part, { force: true });
  }
}

async function* linesOf(entries: AsyncIterable<Entry>): AsyncGenerator<string> {
  let head = `${DUMP_HEAD}\n`;
  for await (const entry of entries) {
    yield `${head}${dumpLine(entry)}\n`;
    head = '';
  }
  // A store that does not answer is said before anything is.
  if (head !== '') yield head;
}

function attempt<Result>(path: string, action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    throw new OperatorError(
      `store dump: ${path}: cannot be written: ${systemReason(error)}`,
      exitCodeOf(error) === EXIT.tempfail ? EXIT.tempfail : EXIT.cannotCreate,
    );
  }
}

type Write = (key: Buffer, stored: Stored) => Promise<unknown>;

/**
 * Says on standard error how many entries it were.
 * @param path `-` for standard input @param begin opens the store, once the first line is read
 * @throws OperatorError with the line that is none of a dump; those before it are loaded
 */
export async function loadFrom(path: string, begin: () => Promise<Write>): Promise<void> {
  let write: Write | undefined;
  let [number, loaded, ended] = [0, 0, 0];
  let batch: Promise<unknown>[] = [];
  const flush = async () => {
    await Promise.all(batch);
    loaded += batch.length;
    batch = [];
  };
  for await (const line of readLines(path)) {
    number += 1;
    if (line.trim() === '') continue;
    const entry = readDumpLine(line);
    if (entry === undefined) {
      await flush();
      throw new OperatorError(
        `store load: ${path}:${number}: is no line of a dump; ${entriesText(loaded)} loaded`,
        EXIT.usage,
      );
    }
    write ??= await begin();
    if (entry === 'head') continue;
    if (entry.expires <= Date.now()) {
      ended += 1;
      continue;
    }
    batch.push(write(entry.key, entry));
    if (batch.length >= BATCH) await flush();
  }
  await flush();
  const late = ended === 0 ? '' : `, ${entriesText(ended)} had ended`;
  process.stderr.write(`smtpf-milter: ${entriesText(loaded)} loaded${late}\n`);
}

function entriesText(count: number): string {
  return `${count} ${count === 1 ? 'entry' : 'entries'}`;
}

async function* readLines(path: string): AsyncGenerator<string> {
  try {
    const input = path === '-' ? process.stdin : createReadStream(path);
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw unreadable('store load', path, error);
  }
}
