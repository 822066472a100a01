/** What is told of a case that failed, taken from how its function ended: no stack, but the lines that matter. */
import type { Outcome } from '../lua/context/context.ts';

export interface TranscriptLine {
  readonly command: string;
  /** As the SMTP client saw it; the last line of several. */
  readonly reply: string;
  /** `file:line` of the policy. */
  readonly where: string;
}

/** All texts are latin1. */
export interface Failure {
  /** First line says it, the others explain. */
  readonly message: string;
  /** `file:line` in the test file; '' where none is known. */
  readonly where: string;
  /** The test's source line there. */
  readonly source: string;
  /** Lines of the test file from which the function at `where` was called, nearest first. */
  readonly callers: readonly string[];
  /** Of each session of the case. */
  readonly transcripts: readonly (readonly TranscriptLine[])[];
}

/**
 * @param atEnd what the end of the case's sessions has thrown
 * @param source lines of the test file
 * @returns undefined when the case has passed
 */
export function failureOf(
  outcome: Outcome<void>,
  atEnd: unknown,
  path: string,
  source: readonly string[],
): Omit<Failure, 'transcripts'> | undefined {
  if (outcome.kind === 'done') {
    if (atEnd === undefined) return undefined;
    return {
      message: atEnd instanceof Error ? atEnd.message : String(atEnd),
      where: '',
      source: '',
      callers: [],
    };
  }
  if (outcome.kind === 'cancelled') return { message: 'cancelled', where: '', source: '', callers: [] };
  const file = Buffer.from(path).toString('latin1');
  // Nearest first: where the error was raised, then who called.
  const lines = linesIn(outcome.traceback, file);
  const [nearest, ...callers] = lines;
  const where = nearest === undefined ? outcome.where : `${file}:${nearest}`;
  const positioned = `${outcome.where}: `;
  const raised = outcome.message.startsWith(positioned)
    ? outcome.message.slice(positioned.length)
    : outcome.message;
  // An error in a module that the test has loaded names its own line.
  const message = outcome.where === where || outcome.where === '' ? raised : outcome.message;
  return {
    message,
    where,
    source: nearest === undefined ? '' : (source[nearest - 1] ?? '').trim(),
    callers: callers.map((line) => `${file}:${line}`),
  };
}

/** Line numbers of the file in Lua's traceback. */
function linesIn(traceback: string, path: string): number[] {
  return traceback.split('\n').flatMap((line) => {
    const [, file = '', number] = /^\t(.+?):(\d+): in /.exec(line) ?? [];
    // Long names are cut at their beginning.
    const isThis = file === path || (file.startsWith('...') && path.endsWith(file.slice(3)));
    return isThis && number !== undefined ? [Number(number)] : [];
  });
}
