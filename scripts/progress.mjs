/**
 * A reporter of node:test for runs of many files: one line for each file that has ended, with the time that it took, on
 * a terminal one that is written over. What failed or was skipped is shown as the reporter `spec` shows it, failures once
 * more at the end.
 */
import { relative } from 'node:path';
import { spec as Spec } from 'node:test/reporters';

const START_OF_LINE = '\r\x1b[K';

export default async function* progress(source) {
  const onTerminal = process.stdout.isTTY;
  const began = Date.now();
  const running = new Set();
  let files = 0;
  let ended = 0;
  let failed = 0;

  /** Passes on what a test came to, as if it stood alone. */
  const spec = new Spec();
  const shown = (...events) => {
    for (const event of events) spec.write(event);
    return String(spec.read() ?? '');
  };
  const line = ({ file, details }) => {
    const count = `${String(ended).padStart(String(files).length)}/${files}`;
    const took = clock(details?.duration_ms ?? 0);
    return `${count}  ${clock(Date.now() - began)}  ${name(file)}  ${took}${details?.error ? '  FAILED' : ''}\n`;
  };
  const runningLine = () => {
    const text = `${ended}/${files} files, ${failed} failed, ${clock(Date.now() - began)}  ${[...running].map(name).join(' ')}`;
    return `${START_OF_LINE}${text.slice(0, (process.stdout.columns || 80) - 1)}`;
  };

  for await (const event of source) {
    const { type, data } = event;
    let text = '';
    if (isFile(data)) {
      if (type === 'test:enqueue') files += 1;
      if (type === 'test:dequeue') running.add(data.file);
      if (type === 'test:complete') {
        running.delete(data.file);
        ended += 1;
        if (data.details?.error) failed += 1;
        if (!onTerminal) text = line(data);
      }
    }
    if ((type === 'test:fail' && isFailure(data)) || (type === 'test:pass' && data.skip !== undefined))
      text += shown({ type: 'test:start', data }, event);
    else if (type === 'test:diagnostic' || type === 'test:summary' || type === 'test:stderr')
      text += shown(event);
    if (text === '' && !(onTerminal && isFile(data))) continue;
    yield onTerminal ? `${text === '' ? '' : START_OF_LINE}${text}${runningLine()}` : text;
  }
  spec.end();
  const rest = String(spec.read() ?? '');
  yield `${onTerminal ? START_OF_LINE : ''}${rest}`;
}

/** Whether an event is about a whole file; what is about its tests has their names. */
function isFile({ name, file, nesting }) {
  return nesting === 0 && file !== undefined && name !== undefined && file.endsWith(name);
}

/** A suite fails with its tests, and is not counted besides. */
function isFailure({ details }) {
  const type = details?.error?.failureType;
  return type !== undefined && type !== 'subtestsFailed';
}

function name(file) {
  return relative(process.cwd(), file);
}

function clock(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
