"""The check of an exported selector before it ships: the original and the model hear one corpus, and are compared.

hear -> agreement, answers; device beside them; all of it in check, whose verdict gates a release.
"""
