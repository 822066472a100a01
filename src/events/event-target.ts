/** `--events`: where the events of a policy go. */
import { resolve } from 'node:path';
import { BadValue } from '../text/bad-value.ts';

export type EventTarget =
  /** Nowhere, or as lines of the log. */
  | { readonly kind: 'none' | 'log' }
  /** A file that lines are appended to, or a pipe; or a unix stream socket that somebody else listens on. */
  | { readonly kind: 'file' | 'unix'; readonly path: string };

/** Reads `none`, `log`, `file:PATH` or `unix:PATH`. @throws BadValue when it is none of these */
export function parseEventTarget(text: string): EventTarget {
  if (text === 'none' || text === 'log') return { kind: text };
  const [, kind, path = ''] = /^(file|unix):([^\0]+)$/s.exec(text) ?? [];
  if (kind === undefined) throw new BadValue('must be none, log, file:PATH or unix:PATH');
  return { kind: kind === 'file' ? 'file' : 'unix', path: resolve(path) };
}
