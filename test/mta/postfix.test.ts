/** The case table with a real Postfix, and mail that local users submit to it. */
import { POSTFIX_CLIENTS } from './cases/clients.ts';
import { SUBMISSION } from './cases/submission.ts';
import { postfixUnavailable, startPostfix } from './postfix.ts';
import { defineSuite } from './suite.ts';

defineSuite({
  name: 'postfix',
  unavailable: postfixUnavailable(),
  start: startPostfix,
  cases: [...POSTFIX_CLIENTS, ...SUBMISSION],
});
