/**
 * What both sides of a comparison share: where a program runs, and what of its output may differ.
 */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** The addresses of objects. */
const ADDRESS = /\b(table|function|thread|userdata): 0x[0-9a-f]+|\b(file) \(0x[0-9a-f]+\)/g;

/** `text` without addresses. */
export function withoutAddresses(text: string): string {
  return text.replace(ADDRESS, '$1$2: ADDRESS');
}

/** The time zone that the program's first line names. */
export function timeZone(source: Buffer): string {
  return /^-- TZ=(\S+)/.exec(source.toString('latin1'))?.[1] ?? 'UTC';
}

/** Calls `run` with a new directory that holds a copy of the program, for the files it may write; then removes it. */
export async function inDirectory<T>(
  program: string,
  run: (directory: string) => T | Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    copyFileSync(program, join(directory, basename(program)));
    return await run(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
