/** Runs test files: in this process, or several at a time in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { type FileReport, type RunSettings, runTestFile } from './test-file.ts';
import type { TestFileTask } from './worker.ts';

/** From this many files on, a process of its own is worth its start. */
const FILES_PER_PROCESS = 2;

export interface Runs {
  readonly settings: RunSettings;
  /** At most so many processes. */
  readonly jobs: number;
  /** Is given each report as soon as those of all files before it are there. */
  readonly finished: (report: FileReport) => void;
}

/** @returns the reports in the order of the files */
export async function runTestFiles(paths: readonly string[], runs: Runs): Promise<FileReport[]> {
  const reports: (FileReport | undefined)[] = paths.map(() => undefined);
  let told = 0;
  const done = (index: number, report: FileReport): void => {
    reports[index] = report;
    for (let next = reports[told]; next; next = reports[told]) {
      runs.finished(next);
      told += 1;
    }
  };
  const queue = [...paths.entries()];
  const processes = Math.min(runs.jobs, Math.ceil(paths.length / FILES_PER_PROCESS));
  if (processes <= 1) {
    for (const [index, path] of queue) done(index, await runTestFile(path, runs.settings));
  } else {
    const workers = Array.from({ length: processes }, () => work(queue, runs.settings, done));
    await Promise.all(workers);
  }
  return reports.filter((report) => report !== undefined);
}

/** One process, and another when that one has died of a file, until the queue is empty. */
async function work(
  queue: [number, string][],
  settings: RunSettings,
  done: (index: number, report: FileReport) => void,
): Promise<void> {
  let child: ChildProcess | undefined;
  for (let next = queue.shift(); next; next = queue.shift()) {
    const [index, path] = next;
    child ??= start();
    const report = await runIn(child, { path, settings });
    if (typeof report === 'string') child = undefined;
    done(index, typeof report === 'string' ? lost(path, report) : report);
  }
  child?.disconnect();
}

function start(): ChildProcess {
  const here = import.meta.url;
  return fork(new URL(`./worker-main${here.slice(here.lastIndexOf('.'))}`, here), {
    serialization: 'advanced',
  });
}

/** @returns the report, or how the process has ended instead */
function runIn(child: ChildProcess, task: TestFileTask): Promise<FileReport | string> {
  return new Promise((resolve) => {
    const reported = (report: FileReport): void => {
      child.off('exit', ended);
      resolve(report);
    };
    const ended = (code: number | null, signal: string | null): void => {
      child.off('message', reported);
      resolve(signal ?? `exit code ${code}`);
    };
    child.once('message', reported);
    child.once('exit', ended);
    child.send(task);
  });
}

function lost(path: string, how: string): FileReport {
  return {
    file: path,
    policy: '',
    cases: [],
    broken: `${path}: the process that ran it has ended: ${how}`,
    milliseconds: 0,
    dependencies: [],
    coverage: [],
  };
}
