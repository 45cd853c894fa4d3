"""bulk-connect: mailboxes in, logins checked, a report out. The line, file by file:

 1. api/guard.py            who asks, how much may they ask
 2. api/connect.py          POST a connect request
 3. intake/body.py          text to rows and row errors             (pure)
 4. intake/presets.py       domain to servers to try                (pure)
 5. store/incoming.py       one transaction: request, rows, sealed credentials
 6. enqueue.py              ring the bell: the request's id
 7. jobs/drain_request.py   claim rows, keep the window full
 8. login/check.py          resolve, connect, tls, greet, auth, select
 9. diagnose/diagnose.py    failure or success to code              (pure)
10. store/checks.py         record in blocks; close the request if it was the last
11. jobs/write_report.py    report/ rows and summary (pure) to the CSV in the report store
"""

__version__ = "0.1.0"
