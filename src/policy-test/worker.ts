/** A process that runs test files for parallel.ts, one after the other. */
import { type RunSettings, runTestFile } from './test-file.ts';

export interface TestFileTask {
  readonly path: string;
  readonly settings: RunSettings;
}

process.on('message', ({ path, settings }: TestFileTask) => {
  runTestFile(path, settings).then(
    (report) => process.send?.(report),
    (error: unknown) => {
      throw error; // The other side learns of it by our end.
    },
  );
});
process.on('disconnect', () => process.exit());
