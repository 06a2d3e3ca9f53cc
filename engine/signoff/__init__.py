"""The sign-off: paired outcomes in, excess risks, frontiers, gains, audits and a decision out.

Knows the outcomes' store and the kernels. Never reaches answerers, selectors, audio or torch.
"""
