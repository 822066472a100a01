/** Tests that need a mail server with a milter whose policy each of them writes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { MtaName } from './mail-server.ts';
import { writePolicy } from './milter.ts';
import type { startPostfix } from './postfix.ts';
import type { startSendmail } from './sendmail.ts';
import { MtaSetup } from './suite.ts';

const IN_CI = process.env.CI === 'true';

/**
 * @param unavailable why there is no such mail server: then one test says so, and fails in CI
 * @param define defines the tests; `install` puts a policy in place
 */
export function besideMta(
  name: MtaName,
  title: string,
  unavailable: string | undefined,
  start: typeof startPostfix | typeof startSendmail,
  define: (setup: MtaSetup, install: (lua: string) => void) => void,
): void {
  if (unavailable) {
    test(`${name}: ${title}`, { skip: IN_CI ? false : unavailable }, () => assert.fail(unavailable));
    return;
  }
  describe(`${name}: ${title}`, () => {
    const setup = new MtaSetup(name);
    before(async () => {
      await setup.open((milter, sinkPort) => start(milter, sinkPort, ['mta.test', 'example.com']));
      await setup.startMilter('tempfail');
    });
    after(() => setup.close());
    // A version of its own each time, though the text may have been there before.
    define(setup, (lua) => writePolicy(setup.script, `${lua}\n-- ${randomBytes(6).toString('hex')}\n`));
  });
}
