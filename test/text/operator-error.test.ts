/** Exit codes and words for what the system has refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, EXIT, exitCodeOf, OperatorError, systemReason } from '../../src/text/operator-error.ts';

const systemError = (code: string): Error => Object.assign(new Error(`${code}: it failed`), { code });

test('what may pass by itself is 75, what somebody must change is 78', () => {
  for (const code of ['EADDRINUSE', 'ENOSPC', 'EROFS', 'EMFILE', 'EAI_AGAIN', 'ENOTFOUND', 'EBUSY']) {
    assert.equal(exitCodeOf(systemError(code)), EXIT.tempfail, code);
  }
  for (const code of ['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR', '']) {
    assert.equal(exitCodeOf(systemError(code)), EXIT.config, code);
  }
  assert.equal(exitCodeOf(new OperatorError('x', EXIT.usage)), EXIT.usage);
  assert.equal(exitCodeOf('no error at all'), EXIT.config);
});

test('the words of an error are an operator’s, without the code where they say all', () => {
  assert.equal(systemReason(systemError('EACCES')), 'permission denied');
  assert.equal(systemReason(systemError('EPERM')), 'permission denied');
  assert.equal(systemReason(systemError('EADDRINUSE')), 'address in use');
  assert.equal(systemReason(systemError('EWHATEVER')), 'EWHATEVER');
  assert.equal(systemReason(new OperatorError('--listen: no', EXIT.usage)), '--listen: no');
  assert.equal(systemReason(new Error('plain')), 'Error: plain');
});

test('only an error has a code', () => {
  assert.deepEqual(
    [codeOf(systemError('EIO')), codeOf(new Error('x')), codeOf({ code: 'EIO' })],
    ['EIO', '', ''],
  );
});
