"""I/O: the HTTP API: who asks, what for, and what is answered; places 1 and 2 on the line.

routes      every path, with the scope that it needs and the handler that answers it
guard       who asks, and how much they may ask
requests    a connect request: accepted, watched, listed, cancelled
"""
