/** The case table with a real Sendmail. */
import { sendmailUnavailable, startSendmail } from './sendmail.ts';
import { defineSuite } from './suite.ts';

defineSuite({ name: 'sendmail', unavailable: sendmailUnavailable(), start: startSendmail, cases: [] });
