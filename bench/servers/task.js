// The task of servers/piscina.js.
import { workerData } from 'piscina';
import { answering } from './answer.js';

const { ofRequest } = answering(workerData.work);

export default request => ofRequest(request);
